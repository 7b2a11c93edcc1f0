// SPDX-License-Identifier: Apache-2.0
// All addresses of a name, each an endpoint: for a target behind several A or AAAA records. Looked
// up on a thread of its own at the start and then every `refresh`; while that fails, or gives none,
// the last list stays. The first look-up is not waited for: until then there are no endpoints.
//
// (A target of one URL needs none of this: the client looks its host up itself.)
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "outbound/endpoints.hpp"

namespace trialwire::outbound {

class DnsEndpoints final : public EndpointSource {
 public:
  /// Addresses as text, "10.0.0.7" or "fd00::7". Blocks; called on the source's own thread.
  using Lookup = std::function<Result<std::vector<std::string>>(const std::string& host)>;

  struct Options {
    HostPort name;
    std::chrono::milliseconds refresh{30'000};
    std::chrono::milliseconds retry{1'000};  // after a failure
  };

  explicit DnsEndpoints(Options options);
  DnsEndpoints(Options options, Lookup lookup);
  /// A look-up that hangs is not waited for.
  ~DnsEndpoints() override;
  DnsEndpoints(const DnsEndpoints&) = delete;
  DnsEndpoints& operator=(const DnsEndpoints&) = delete;

  std::shared_ptr<const EndpointList> endpoints() const override;

 private:
  struct State;
  std::shared_ptr<State> state_;  // shared with the thread, which may hang in a look-up
};

/// By getaddrinfo.
Result<std::vector<std::string>> look_up(const std::string& host);

}  // namespace trialwire::outbound
