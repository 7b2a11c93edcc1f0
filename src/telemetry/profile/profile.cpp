// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/profile.hpp"

#include <cmath>

namespace trialwire::telemetry {

Estimate estimate(std::int64_t count, std::int64_t amount, std::int64_t period) noexcept {
  if (count <= 0 || amount <= 0 || period <= 1) return {count, amount};
  const double size = static_cast<double>(amount) / static_cast<double>(count);
  const double scale = 1 / -std::expm1(-size / static_cast<double>(period));
  return {std::llround(static_cast<double>(count) * scale),
          std::llround(static_cast<double>(amount) * scale)};
}

}  // namespace trialwire::telemetry
