// SPDX-License-Identifier: Apache-2.0
// When the requests of an open loop are due. Latency is measured from these times, not from when a
// connection was free: a server that stalls for a second is charged for every request that should
// have been sent in that second ("coordinated omission" is what forgetting them is called).
// Due times are computed one at a time, so a backlog of any length takes no memory.
#pragma once
#include <cstdint>

namespace trialwire::loadgen {

enum class Arrivals : std::uint8_t { poisson, fixed };

struct ScheduleOptions {
  double per_second = 0;
  Arrivals arrivals = Arrivals::poisson;
  std::uint64_t seed = 1;
};

class Schedule {
 public:
  Schedule(ScheduleOptions options, std::int64_t start_ns);
  /// When the next request should leave; stays until `advance`.
  [[nodiscard]] std::int64_t due_ns() const noexcept { return due_; }
  void advance() noexcept;
  /// How many more are due before this time: of random gaps as many as there are on average.
  [[nodiscard]] std::uint64_t due_before(std::int64_t until_ns) const noexcept;

 private:
  double gap_ns_;
  Arrivals arrivals_;
  std::uint64_t state_;
  std::int64_t start_ns_;
  std::uint64_t sent_ = 0;
  double offset_ = 0;
  std::int64_t due_ = 0;
};

}  // namespace trialwire::loadgen
