// SPDX-License-Identifier: Apache-2.0
#include "outbound/endpoints.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "base/url.hpp"

namespace trialwire::outbound {
namespace {

std::unexpected<Error> wrong(std::string text) {
  return fail(ErrorCode::invalid_argument, std::move(text));
}

/// Characters of names and addresses alone: nothing of it is read as another part of a URL.
bool is_host(std::string_view host) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  return !host.empty() && host.size() <= 253 && std::ranges::all_of(host, allowed);
}

bool is_ipv6(const std::string& host) {
  in6_addr address{};
  return ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

bool is_loopback(const std::string& host) {
  in6_addr six{};
  if (::inet_pton(AF_INET6, host.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  in_addr four{};
  if (::inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24U == 127;
  return host == "localhost";
}

}  // namespace

std::string HostPort::text() const {
  const bool six = host.find(':') != std::string::npos;
  return six ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<HostPort> parse_host_port(std::string_view text) {
  HostPort made;
  const bool bracketed = text.starts_with('[');
  const std::size_t end = bracketed ? text.find("]:") : text.rfind(':');
  if (end == std::string_view::npos) return wrong("has no port: HOST:PORT is meant");
  made.host = bracketed ? text.substr(1, end - 1) : text.substr(0, end);
  if (bracketed ? !is_ipv6(made.host) : !is_host(made.host)) return wrong("has no valid host");
  const std::string_view port = text.substr(end + (bracketed ? 2 : 1));
  const auto read = std::from_chars(port.data(), port.data() + port.size(), made.port);
  if (read.ec != std::errc{} || read.ptr != port.data() + port.size() || made.port == 0) {
    return wrong("has a port that is no number from 1 to 65535");
  }
  return made;
}

Result<EndpointList> parse_direct(std::string_view text) {
  EndpointList list;
  while (true) {
    const std::size_t comma = text.find(',');
    auto one = parse_host_port(text.substr(0, comma));
    if (!one) return std::unexpected(one.error());
    const Endpoint endpoint{.authority = one->text(), .address = {}};
    if (std::ranges::find(list, endpoint) == list.end()) list.push_back(endpoint);
    if (comma == std::string_view::npos) return list;
    text.remove_prefix(comma + 1);
  }
}

Result<HttpUrl> parse_http_url(std::string_view text) {
  auto url = parse_url(text);
  if (!url) return wrong(url.error());
  if (url->scheme != "https" && url->scheme != "http") return wrong("must begin with https://");
  if (url->user || url->password) return wrong("must have neither user nor password in it");
  const bool six = is_ipv6(url->host);
  if (!six && !is_host(url->host)) return wrong("has no valid host");
  HttpUrl made;
  made.tls = url->scheme == "https";
  const std::uint16_t usual = made.tls ? 443 : 80;
  made.endpoint.authority =
      HostPort{.host = url->host, .port = url->port == 0 ? usual : url->port}.text();
  made.loopback = is_loopback(url->host);
  const std::size_t authority = text.find("://") + 3;
  const std::size_t path = text.find_first_of("/?", authority);
  if (path != std::string_view::npos) {
    made.target = text.substr(path);
    if (made.target.starts_with('?')) made.target.insert(0, "/");
  }
  return made;
}

}  // namespace trialwire::outbound
