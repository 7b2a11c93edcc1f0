// SPDX-License-Identifier: Apache-2.0
// How long to wait before the next attempt: exponential, capped, with full jitter (a uniform choice
// from zero to the exponential bound), so that many who failed together do not come back together.
// Pure: the random number is passed in.
#pragma once
#include <chrono>

namespace trialwire::resilience {

struct BackoffOptions {
  std::chrono::milliseconds first{100};   // bound of the first wait
  std::chrono::milliseconds cap{30'000};  // bound of every wait
};

/// The wait after the failure number `failures` (from 1). `random` is in [0, 1).
/// Example, defaults, random 0.5: 50 ms, 100 ms, 200 ms, … 15 s, 15 s. Never under 1 ms.
std::chrono::milliseconds backoff(const BackoffOptions& options, unsigned failures,
                                  double random) noexcept;

}  // namespace trialwire::resilience
