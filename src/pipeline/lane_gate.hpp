// SPDX-License-Identifier: Apache-2.0
// Where the lanes of one sink meet: each says how far it is, and waits for the others where order
// asks for it. That is at two places:
//
//   a submission of several lanes   goes whole to the lane of its first record: that one waits
//                                   until the others have everything before it, the others wait
//                                   until it has it
//   a change of their number        every lane waits until all have everything before it
//
// A lane that is no more after a change waits here, too, until another finds that the destination
// has gone back to before the change.
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
  static constexpr std::uint64_t ended = UINT64_MAX;  // reached by a lane that is no more

  explicit LaneGate(LaneSchedule schedule)
      : schedule_(std::move(schedule)), reached_(schedule_.lanes_max(), 0) {}

  const LaneSchedule& schedule() const noexcept { return schedule_; }

  /// The destination has everything of `lane` before this sequence. 0: not known (any more).
  void reach(unsigned lane, std::uint64_t next_sequence);

  /// A lane found itself before this sequence, at its start or because the destination went back:
  /// the ended lanes that have records from there on are no longer ended, and have to look, too.
  void begins_at(std::uint64_t sequence);
  /// How often one found itself before the last change of their number.
  std::uint64_t returns() const;
  /// The lane has ended; false, and nothing is done, when one returned since `returns` was that.
  bool end(unsigned lane, std::uint64_t returns);
  void wait_while_ended(unsigned lane, std::stop_token stop);

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
  std::uint64_t returns_ = 0;
};

}  // namespace trialwire::pipeline
