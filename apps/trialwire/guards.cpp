// SPDX-License-Identifier: Apache-2.0
#include "guards.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace trialwire {

runtime::Guard& Guards::add(std::string dependency, std::uint32_t failures_max) {
  resilience::BreakerOptions options = options_;
  options.protection = std::min(options.protection, failures_max);
  options.calls_min = std::min(options.calls_min, failures_max + 1);
  return guards_.emplace_back(std::move(dependency), options, metrics_);
}

std::vector<ReadinessCheck> Guards::readiness() const {
  std::vector<ReadinessCheck> checks;
  for (const runtime::Guard& guard : guards_) {
    const resilience::BreakerState state = guard.state();
    checks.push_back({fmt::format("breaker {}", guard.name()),
                      state == resilience::BreakerState::closed, false,
                      std::string(runtime::name_of(state))});
  }
  return checks;
}

}  // namespace trialwire
