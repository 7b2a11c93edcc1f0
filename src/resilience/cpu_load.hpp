// SPDX-License-Identifier: Apache-2.0
// The load of the processors per mille, smoothed as a shedder wants it: of each sample a twentieth
// counts (an EWMA with 0.95), so that with a sample each 250 ms about five seconds are seen. Pure:
// what was used, and what could have been, are passed in as counters that only grow.
#pragma once
#include <algorithm>
#include <cstdint>

namespace trialwire::resilience {

/// Counters of one source at one time, in one unit (nanoseconds, ticks).
struct CpuCounters {
  double used = 0;
  double available = 0;  // used and idle
};

class CpuLoad {
 public:
  static constexpr double kept = 0.95;

  /// Example: 0 before, 40 of 100 used since the last sample: 0.05 · 400 = 20 per mille.
  /// The first sample only begins. One that goes back (another source) begins anew.
  void sample(const CpuCounters& now) noexcept {
    const double available = now.available - last_.available;
    const double used = now.used - last_.used;
    const bool usable = begun_ && available > 0 && used >= 0;
    begun_ = true;
    last_ = now;
    if (!usable) return;
    per_mille_ = kept * per_mille_ + (1 - kept) * std::min(1000.0 * used / available, 1000.0);
  }
  double per_mille() const noexcept { return per_mille_; }

 private:
  CpuCounters last_;
  double per_mille_ = 0;
  bool begun_ = false;
};

}  // namespace trialwire::resilience
