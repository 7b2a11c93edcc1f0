// SPDX-License-Identifier: Apache-2.0
// Randomness that is the same on every machine: a test's seed says all of it.
#pragma once
#include <cstdint>

namespace trialwire::support {

/// SplitMix64: small, no bad seeds, and forks give independent streams.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31U);
  }
  /// 0 … bound - 1; 0 when bound is 0.
  std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : next() % bound; }
  /// low … high, both included.
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {
    return low + below(high - low + 1);
  }
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }
  bool percent(std::uint64_t p) noexcept { return below(100) < p; }
  Random fork() noexcept { return Random(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace trialwire::support
