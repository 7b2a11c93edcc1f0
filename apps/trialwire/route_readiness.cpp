// SPDX-License-Identifier: Apache-2.0
#include "route_readiness.hpp"

#include <fmt/format.h>

#include "runtime/guard.hpp"

namespace trialwire {

ReadinessCheck route_readiness(std::span<const net::RouteBreakerLook> breakers) {
  std::string open;
  for (const net::RouteBreakerLook& one : breakers) {
    if (one.state == resilience::BreakerState::closed) continue;
    open += fmt::format("{}{} {} {}", open.empty() ? "" : ", ", one.method, one.route,
                        runtime::name_of(one.state));
  }
  if (open.empty()) return {"routes", true, false, fmt::format("{} closed", breakers.size())};
  return {"routes", false, false, std::move(open)};
}

}  // namespace trialwire
