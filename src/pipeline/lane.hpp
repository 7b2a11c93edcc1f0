// SPDX-License-Identifier: Apache-2.0
// Carries one journal to one lane of one sink: reads from where the sink says that it is durable,
// collects batches, delivers, tells the journal how far it came, and does so until it is stopped.
// A sink with one lane gets every record; see SinkLanes for several.
//
// Thread: its own, which alone uses the sink after `start`. It never blocks intake: what is not
// delivered waits in the journal, whose segments its cursor holds back.
// Bounds: one delivery has at most `batch_records_max` records and `batch_bytes_max` bytes, but for
// one submission (an all-or-none request), which is never split.
// Failure: a delivery that fails is repeated with backoff for as long as it takes, whatever the
// error; so is a sink that cannot be reached at start. After each failure the sink is asked again
// where it is: another destination may be in its place, and gets what that one lacks. So it is
// after `idle_check` with nothing to deliver: a database restored in a quiet hour is noticed, too.
// Where the journal no longer has that, its oldest record is next, and what is missing is logged
// and counted. Only a cursor that the journal refuses (beyond its tail) makes `start` fail. Poison:
// what the sink says that it can never take is found by halving the batch and set aside among the
// dead letters, a submission whole; the rest goes on in order. Without dead letters, when those
// cannot be stored, or after `refusals_max` in a row, it is repeated instead: the lane is stuck,
// and loses nothing. Background: its thread has the lowest priority, and where that does not keep
// it out of intake's way it pauses between batches, as give_way.hpp says; a stop ends a pause.
// Durable when: the journal's cursor moves only after Sink::deliver returned without error.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "journal/journal.hpp"
#include "pipeline/lane_options.hpp"
#include "pipeline/sink.hpp"

namespace trialwire::pipeline {

class LaneLag;

class Lane {
 public:
  Lane(LaneOptions options, journal::Journal& journal, std::unique_ptr<Sink> sink,
       telemetry::Registry& metrics);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// The journal keeps everything from there on, until the sink has said what it has. For who
  /// starts several lanes: all hold before the first one starts. By itself `start` holds the
  /// journal from its beginning on.
  void hold(const journal::Cursor& from);
  /// Holds, asks the sink for its cursor and starts the thread. Errors: corrupt, when the journal
  /// refuses that cursor; the text names both. A sink that does not answer is no error: the thread
  /// goes on asking. Without LaneOptions::asks_at_start it blocks on nothing and has no errors.
  Result<void> start();

  /// Ends after the delivery in flight, at normal priority where the kernel allows it; what was
  /// collected gets one attempt. What takes longer than `stop_patience` is given up. Idempotent.
  void stop();
  /// The first half of it, so that several lanes end together: `stop` waits no longer than
  /// `stop_patience` after this.
  void request_stop();

  /// Everything of this lane before it that the journal had is durable in the sink; 0 until the
  /// sink has said where it is, and again while it does not say so after another cursor was found
  /// in it.
  std::uint64_t next_sequence() const noexcept;
  /// Why the last attempt failed; empty: it did not. Any thread.
  std::string trouble() const;
  /// What the sink calls itself.
  std::string_view sink_name() const noexcept;
  /// For as long as anybody asks; of the lane it says nothing any more once that is gone.
  std::shared_ptr<const LaneLag> lag() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::pipeline
