// SPDX-License-Identifier: Apache-2.0
// Where a target's servers are. A source is asked before each attempt and answers from memory; what
// it knows may change at any time (DNS, etcd), and it keeps the last list that was not empty while
// it cannot find out.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace trialwire::outbound {

struct Endpoint {
  std::string authority;  // "idp.example:8443": of the URL, the Host header and the certificate
  std::string address;    // "10.0.0.7:8443": what is connected to; empty: as `authority` says
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

using EndpointList = std::vector<Endpoint>;

class EndpointSource {
 public:
  virtual ~EndpointSource() = default;
  /// Never null; from any thread, without waiting. The same pointer while nothing has changed.
  virtual std::shared_ptr<const EndpointList> endpoints() const = 0;
};

/// A list that stays.
class FixedEndpoints final : public EndpointSource {
 public:
  explicit FixedEndpoints(EndpointList list)
      : list_(std::make_shared<const EndpointList>(std::move(list))) {}
  std::shared_ptr<const EndpointList> endpoints() const override { return list_; }

 private:
  const std::shared_ptr<const EndpointList> list_;  // shared with who still reads it
};

/// Host and port of "10.0.0.7:8443", "[::1]:80" or "name:80"; an error when it is none of these.
struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;
  std::string text() const;  // with brackets where the host has colons
};
Result<HostPort> parse_host_port(std::string_view text);

/// "a:1,b:2": each an endpoint of its own. Errors: invalid_argument.
Result<EndpointList> parse_direct(std::string_view text);

/// A server that a URL names, and the rest of it.
struct HttpUrl {
  bool tls = false;
  Endpoint endpoint;
  std::string target = "/";  // path and query, as they were written
  bool loopback = false;     // localhost, 127.0.0.0/8 or ::1
};
/// Of "https://host[:port][/path][?query]". The error says what is wrong without repeating it.
/// A user or password within it is wrong: it would be shown where URLs are.
Result<HttpUrl> parse_http_url(std::string_view text);

}  // namespace trialwire::outbound
