// SPDX-License-Identifier: Apache-2.0
// The system's clock as records have it.
#pragma once
#include <chrono>
#include <cstdint>

namespace trialwire {

/// Nanoseconds since the Unix epoch.
inline std::int64_t system_unix_ns() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

}  // namespace trialwire
