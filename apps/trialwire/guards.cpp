// SPDX-License-Identifier: Apache-2.0
#include "guards.hpp"

#include <utility>

#include <fmt/format.h>

namespace trialwire {

runtime::Guard& Guards::add(std::string dependency) {
  return guards_.emplace_back(std::move(dependency), options_, metrics_);
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
