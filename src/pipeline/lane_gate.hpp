// SPDX-License-Identifier: Apache-2.0
// Where the lanes of one sink meet: each says how far it is, and waits for the others where order
// asks for it. That is at two places:
//
//   a submission of several lanes   goes whole to the lane of its first record: that one waits
//                                   until the others have everything before it, the others wait
//                                   until it has it
//   a change of their number        every lane waits until all have everything before it
//
// The lane that is furthest behind never waits for another, so one of them always gets on.
// Any thread; each call takes the lock for a moment. Outlives the lanes.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <vector>

#include "pipeline/lane_schedule.hpp"

namespace trialwire::pipeline {

class LaneGate {
 public:
  explicit LaneGate(LaneSchedule schedule)
      : schedule_(std::move(schedule)), reached_(schedule_.lanes_max(), 0) {}

  const LaneSchedule& schedule() const noexcept { return schedule_; }

  /// The destination has everything of `lane` before this sequence. 0: not known (any more).
  void reach(unsigned lane, std::uint64_t next_sequence);

  bool has_reached(unsigned lane, std::uint64_t sequence) const;
  bool others_reached(unsigned lane, std::uint64_t sequence) const;
  /// Of the lane that is furthest behind.
  std::uint64_t least_reached() const;

  // Until it is so, `wait` is over or `stop` is requested:
  void wait_for(unsigned lane, std::uint64_t sequence, std::chrono::milliseconds wait,
                std::stop_token stop);
  void wait_for_others(unsigned lane, std::uint64_t sequence, std::chrono::milliseconds wait,
                       std::stop_token stop);

 private:
  bool others_reached_locked(unsigned lane, std::uint64_t sequence) const;

  const LaneSchedule schedule_;
  mutable std::mutex mutex_;
  std::condition_variable_any moved_;
  std::vector<std::uint64_t> reached_;
};

}  // namespace trialwire::pipeline
