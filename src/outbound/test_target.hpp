// SPDX-License-Identifier: Apache-2.0
// A client of one target with all that it needs, for one test.
#pragma once
#include <memory>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "outbound/http_target.hpp"
#include "support/rough_http.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::outbound::testing {

inline HttpTargetOptions named(HttpTargetOptions options) {
  if (options.name.empty()) options.name = "peer";
  return options;
}

class Client {
 public:
  /// `servers`: "host:port,host:port"; empty: none are known.
  explicit Client(const std::string& servers, HttpTargetOptions options = {},
                  const resilience::BreakerOptions& breaker = {})
      : Client(servers.empty() ? EndpointList{} : *parse_direct(servers), std::move(options),
               breaker) {}
  explicit Client(EndpointList servers, HttpTargetOptions options = {},
                  const resilience::BreakerOptions& breaker = {})
      : guard_("peer", breaker, metrics_),
        target_(named(std::move(options)), std::make_shared<FixedEndpoints>(std::move(servers)),
                loop_, guard_, metrics_) {}
  ~Client() { loop_.stop(); }

  HttpTarget& target() { return target_; }
  HttpLoop& loop() { return loop_; }
  runtime::Guard& guard() { return guard_; }
  telemetry::Registry& metrics() { return metrics_; }
  double metric(const std::string& series) const {
    const std::string page = "\n" + metrics_.text();
    const std::size_t at = page.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(page.substr(at + series.size() + 2));
  }
  double outcome(const std::string& name) const {
    return metric(
        fmt::format(R"(trialwire_outbound_calls_total{{outcome="{}",target="peer"}})", name));
  }

 private:
  telemetry::Registry metrics_;
  HttpLoop loop_;
  runtime::Guard guard_;
  HttpTarget target_;
};

}  // namespace trialwire::outbound::testing
