// SPDX-License-Identifier: Apache-2.0
// How a batch gets into the sink, whatever happens: repeated while the sink fails, halved while it
// refuses, what it can never take set aside; see lane.hpp. Used by the lane's thread.
//
//   Sink::deliver says                     what is done
//   invalid_argument, payload_too_large    the batch is halved down to the record or submission
//                                          that it is about; that goes to the dead letters, the
//                                          rest is delivered in order
//   deadline_exceeded                      as anything else, in smaller pieces from here on
//   anything else                          the sink is reset and asked where it is, with backoff,
//                                          for as long as it takes; then the same again
//
// The order of steps is what a crash at any point relies on: rows and the sink's cursor in one step
// of the sink; a dead letter durable before a cursor passes it; the journal told last.
#pragma once
#include <cstdint>
#include <span>
#include <stop_token>

#include "pipeline/lane_core.hpp"
#include "pipeline/poison_search.hpp"

namespace trialwire::pipeline {

class LaneDelivery {
 public:
  enum class Outcome : std::uint8_t {
    done,
    stopped,  // not all of it; it comes again at the next start
    moved,    // the sink is not where it was: what was collected must be read again
  };

  explicit LaneDelivery(LaneCore& core) : core_(core), unit_(core.options.batch_bytes_max) {}

  /// All of the core's batch, which is empty afterwards, and the cursor behind it. An empty batch
  /// stores the cursor alone.
  Outcome deliver(const std::stop_token& stop);

  /// With nothing to deliver, when the sink has not said for a while where it is: asks it. One that
  /// does not answer is asked until it does, as after a failed delivery.
  Outcome check_idle(const std::stop_token& stop);

  /// Now and then: delivers dead letters for which an operator asked; the cursor stays.
  Outcome redeliver_asked(const std::stop_token& stop);

 private:
  using Records = std::span<const journal::Record>;

  Outcome deliver_piece(PoisonSearch& search, const std::stop_token& stop);
  Result<void> attempt(Records records, const journal::Cursor& cursor);
  void advance(Records records, const journal::Cursor& cursor);
  bool refuses(const Error& error) const noexcept;
  void took_too_long(std::size_t records, PoisonSearch& search) noexcept;
  Outcome recover(const std::stop_token& stop, bool at_once);
  Outcome after_refusal(const std::stop_token& stop);
  Outcome compare(const journal::Cursor& found);
  bool set_aside(Records unit, const Error& reason, const std::stop_token& stop);
  Outcome redeliver(Records unit, const std::stop_token& stop);

  LaneCore& core_;
  RecordBatch unit_;                // that is redelivered
  unsigned refused_in_row_ = 0;     // units, none taken between
  std::size_t at_once_ = SIZE_MAX;  // records, that the sink takes in time
  Clock::time_point looked_{};      // at the dead letters
  bool letters_fail_ = false;
};

}  // namespace trialwire::pipeline
