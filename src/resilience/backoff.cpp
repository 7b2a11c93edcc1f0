// SPDX-License-Identifier: Apache-2.0
#include "resilience/backoff.hpp"

#include <algorithm>
#include <cstdint>

namespace trialwire::resilience {

std::chrono::milliseconds backoff(const BackoffOptions& options, unsigned failures,
                                  double random) noexcept {
  auto bound = static_cast<double>(options.first.count());
  auto cap = static_cast<double>(options.cap.count());
  for (unsigned doubled = 1; doubled < failures && bound < cap; ++doubled) bound *= 2;
  auto wait = static_cast<std::int64_t>(std::min(bound, cap) * std::clamp(random, 0.0, 1.0));
  return std::chrono::milliseconds(std::max<std::int64_t>(wait, 1));
}

}  // namespace trialwire::resilience
