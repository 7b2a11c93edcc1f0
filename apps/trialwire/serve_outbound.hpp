// SPDX-License-Identifier: Apache-2.0
// Calls of other servers, as this process makes them: one loop, and for each target its breaker
// and its policies from the settings `services`.
#pragma once
#include <deque>
#include <memory>
#include <string>

#include "config/settings.hpp"
#include "guards.hpp"
#include "outbound/http_target.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

/// Policies; TLS, proxy and what else is the target's own are for who asks.
outbound::HttpTargetOptions http_target_options(const config::ServiceSettings& settings,
                                                std::string name);

class OutboundService {
 public:
  OutboundService(const config::Settings& settings, Guards& guards, telemetry::Registry& metrics)
      : settings_(settings), guards_(guards), metrics_(metrics) {}

  /// Before the start; lives as long as this. `failures_max`: as of Guards::add.
  outbound::HttpTarget& add(outbound::HttpTargetOptions options,
                            std::shared_ptr<const outbound::EndpointSource> endpoints,
                            std::uint32_t failures_max = UINT32_MAX - 1);
  const config::Settings& settings() const noexcept { return settings_; }

  /// Ends all calls as cancelled. After those who make them.
  void stop() {
    if (loop_) loop_->stop();
  }

 private:
  const config::Settings& settings_;
  Guards& guards_;
  telemetry::Registry& metrics_;
  std::unique_ptr<outbound::HttpLoop> loop_;  // null: nobody is called
  std::deque<outbound::HttpTarget> targets_;  // they stay where they are
};

}  // namespace trialwire
