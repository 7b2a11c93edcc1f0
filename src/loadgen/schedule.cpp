// SPDX-License-Identifier: Apache-2.0
#include "loadgen/schedule.hpp"

#include <cmath>

#include "base/check.hpp"

namespace trialwire::loadgen {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): one word of state is enough for arrival gaps.
std::uint64_t next_random(std::uint64_t& state) noexcept {
  state += 0x9e3779b97f4a7c15ULL;
  std::uint64_t mixed = state;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
  return mixed ^ (mixed >> 31);
}

}  // namespace

Schedule::Schedule(ScheduleOptions options, std::int64_t start_ns)
    : gap_ns_(1e9 / options.per_second),
      arrivals_(options.arrivals),
      state_(options.seed),
      start_ns_(start_ns),
      due_(start_ns) {
  TW_CHECK(options.per_second > 0);
  if (arrivals_ == Arrivals::poisson) advance();
}

void Schedule::advance() noexcept {
  ++sent_;
  if (arrivals_ == Arrivals::fixed) {
    // From the start each time: adding gaps up would add their rounding up too.
    due_ = start_ns_ + static_cast<std::int64_t>(gap_ns_ * static_cast<double>(sent_));
    return;
  }
  // (0, 1]: 53 random bits plus one, so that the logarithm is finite.
  const double uniform = static_cast<double>((next_random(state_) >> 11) + 1) * 0x1.0p-53;
  offset_ -= std::log(uniform) * gap_ns_;
  due_ = start_ns_ + static_cast<std::int64_t>(offset_);
}

std::uint64_t Schedule::due_before(std::int64_t until_ns) const noexcept {
  if (due_ >= until_ns) return 0;
  return 1 + static_cast<std::uint64_t>(static_cast<double>(until_ns - due_ - 1) / gap_ns_);
}

}  // namespace trialwire::loadgen
