// SPDX-License-Identifier: Apache-2.0
// The breakers of this process, one a dependency: made by who calls it, shown by /readyz.
#pragma once
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "admin.hpp"
#include "resilience/breaker.hpp"
#include "runtime/guard.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

class Guards {
 public:
  Guards(const resilience::BreakerOptions& options, telemetry::Registry& metrics)
      : options_(options), metrics_(metrics) {}

  /// Before the start. `dependency` is one of a kind: "postgres", "queries". Lives as long as this.
  /// `failures_max`: so many are let pass at most, where breaker.protection and breaker.calls would
  /// never be reached within the window, for calls are few and take long.
  runtime::Guard& add(std::string dependency, std::uint32_t failures_max = UINT32_MAX - 1);

  /// A line each. None is required: intake goes on without what fails.
  std::vector<ReadinessCheck> readiness() const;

 private:
  resilience::BreakerOptions options_;
  telemetry::Registry& metrics_;
  std::deque<runtime::Guard> guards_;  // they stay where they are
};

}  // namespace trialwire
