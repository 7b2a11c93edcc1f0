// SPDX-License-Identifier: Apache-2.0
// Carries one journal to one sink: reads from where the sink says that it is durable, collects
// batches, delivers, tells the journal how far it came, and does so again until it is stopped.
//
// Thread: its own, which alone uses the sink after `start`. It never blocks intake: what is not
// delivered waits in the journal, whose segments its cursor holds back.
// Bounds: one delivery has at most `batch_records_max` records and `batch_bytes_max` bytes, but for
// one submission (an all-or-none request), which is never split.
// Failure: a delivery that fails is repeated with backoff for as long as it takes, whatever the
// error; so is a sink that cannot be reached at start. After each failure the sink is asked again
// where it is: another destination may be in its place, and gets what that one lacks. Where the
// journal no longer has that, its oldest record is next, and what is missing is logged and counted.
// Only a cursor that the journal refuses (beyond its tail) makes `start` fail.
// Background: its thread has the lowest priority, and where that does not keep it out of intake's
// way it pauses between batches, as give_way.hpp says; a stop ends a pause.
// Durable when: the journal's cursor moves only after Sink::deliver returned without error.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/error.hpp"
#include "journal/journal.hpp"
#include "pipeline/give_way.hpp"
#include "pipeline/sink.hpp"
#include "resilience/backoff.hpp"

namespace trialwire::pipeline {

struct LaneOptions {
  unsigned lane = 0;                                 // of this sink, from 0
  std::size_t batch_records = 512;                   // deliver when so many wait …
  std::chrono::milliseconds batch_delay{500};        // … or the oldest has waited so long
  std::size_t batch_records_max = 16'384;            // of one delivery, when it lags
  std::size_t batch_bytes_max = 8 << 20;             // likewise
  std::chrono::milliseconds delivery_interval{100};  // from one delivery's start to the next's
                                                     // unless a largest one waits: fewer syncs
  resilience::BackoffOptions backoff;
  std::chrono::milliseconds stop_patience{1'000};  // then a delivery in flight is given up
  bool background = true;                          // lowest priority for the thread, and pauses
  GiveWayOptions give_way;                         // when in background
  /// Of the lane's thread, asked on it. Empty: the kernel's.
  std::function<std::optional<ProcessorTime>()> processor_time;
  std::function<std::int64_t()> unix_now_ns;  // empty: the system clock
};

class Lane {
 public:
  Lane(LaneOptions options, journal::Journal& journal, std::unique_ptr<Sink> sink,
       telemetry::Registry& metrics);
  ~Lane();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;

  /// Holds the journal's segments, asks the sink for its cursor and starts the thread. Errors:
  /// corrupt, when the journal refuses that cursor; the text names both. A sink that does not
  /// answer is no error: the thread goes on asking.
  Result<void> start();

  /// Ends after the delivery in flight, at normal priority where the kernel allows it; what was
  /// collected gets one attempt. What takes longer than `stop_patience` is given up. Idempotent.
  void stop();

  /// Everything before it that the journal had is durable in the sink; 0 until the sink has said
  /// where it is, and again while it does not say so after another cursor was found in it.
  std::uint64_t next_sequence() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::pipeline
