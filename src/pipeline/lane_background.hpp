// SPDX-License-Identifier: Apache-2.0
// A lane in the background: its thread at the lowest priority, and pauses where that does not keep
// it out of intake's way (give_way.hpp). Off, it does nothing. Used by the lane's thread, but for
// `leave`.
#pragma once
#include <mutex>
#include <optional>
#include <stop_token>

#include "pipeline/give_way.hpp"
#include "pipeline/lane_core.hpp"
#include "pipeline/processor_time.hpp"

namespace trialwire::pipeline {

class LaneBackground {
 public:
  explicit LaneBackground(LaneCore& core) : core_(core), give_way_(core.options.give_way) {}

  /// Makes the calling thread one of the background, when the options say so.
  void enter();
  /// From another thread, before the lane's has ended: back to normal priority, where the kernel
  /// lets this account do that.
  void leave();

  void batch_begins();
  void batch_done();
  bool gives_way() const noexcept { return give_way_.gives_way(); }
  /// The pause before the next batch. Ends early on stop, and when its reason has gone.
  void pause(const std::stop_token& stop);
  void intake_is_at(std::uint64_t sequence) noexcept { asked_sequence_ = sequence; }

 private:
  std::optional<ProcessorTime> processor_time() const;
  Intake intake_since_asked();

  LaneCore& core_;
  GiveWay give_way_;
  std::optional<ProcessorClock> clock_;       // of the thread; none when not in background
  std::optional<ProcessorTime> batch_began_;  // when the first record of the batch was taken
  std::uint64_t asked_sequence_ = 0;          // the journal's end when the rule was last asked
  Clock::time_point asked_ = Clock::now();

  std::mutex mutex_;  // of the next one
  int thread_ = 0;    // its number, when it is in background
};

}  // namespace trialwire::pipeline
