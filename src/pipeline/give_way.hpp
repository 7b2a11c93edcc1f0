// SPDX-License-Identifier: Apache-2.0
// When a lane leaves the processor to intake, and for how long: a rule without clock, thread or
// I/O. Readings go in after each delivered batch, the pause before the next one comes out.
//
// The lowest priority alone is no way to give way: the thread takes every gap that intake leaves,
// is preempted only at the end of a system call, and evicts intake's data from the caches.
// The rule: was the thread ready to run but waiting for more than a share of the time that it
// wanted, then the processor is contended, and the lane pauses, at first shortly, twice as long
// after each further batch that meets contention. One batch without releases it at once.
// One batch is judged, not a stretch of time: a stretch would add up the wake-ups of a lane that
// has little to do, each a wait of its own, until they look like contention. A batch that wanted
// less than `judged_time` is judged as though it had wanted that: waits of microseconds, which an
// idle machine has too, weigh nothing.
// It never pauses while nothing is appended (nobody to give way to), not when the journal is
// pressed for room by what the sink does not have (intake itself would be refused soon), and not
// when the sink is behind by more than a burst of reports lasts. A sink that keeps up with what
// arrives (pace.hpp) stays close behind: its pauses would save intake little and only make rows
// late.
#pragma once
#include <chrono>
#include <cstdint>

#include "journal/journal.hpp"
#include "pipeline/processor_time.hpp"

namespace trialwire::pipeline {

struct GiveWayOptions {
  std::chrono::milliseconds pause_first{250};
  std::chrono::milliseconds pause_max{2'000};  // 0: never pauses
  double waiting_share = 0.2;                  // of the time wanted; beyond it: contended
  std::chrono::nanoseconds judged_time = std::chrono::milliseconds(5);
  std::uint64_t backlog_bytes_max = 8ULL << 30;                 // beyond it the journal is pressed
  std::chrono::nanoseconds lag_max = std::chrono::seconds(60);  // who queries waits no longer
  std::chrono::nanoseconds lag_in_pace = std::chrono::milliseconds(500);  // of a sink that keeps up
};

/// What the lane's source saw since the rule was asked last.
struct Intake {
  std::uint64_t appended = 0;      // records
  journal::Backlog backlog;        // that this lane's sink does not have
  std::chrono::nanoseconds lag{};  // age of the oldest record of it
  bool sink_keeps_up = false;      // with what arrives
};

class GiveWay {
 public:
  explicit GiveWay(GiveWayOptions options) : options_(options) {}

  /// A batch is delivered, for which the thread spent so much.
  void batch_done(const ProcessorTime& spent, const Intake& intake) noexcept;
  /// During a pause: does its reason still hold? Otherwise it is over, and `gives_way` is false.
  bool goes_on(const Intake& intake) noexcept;

  bool gives_way() const noexcept { return pause_.count() > 0; }
  /// Before the next batch.
  std::chrono::milliseconds pause() const noexcept { return pause_; }

 private:
  bool contended(const ProcessorTime& spent) const noexcept;
  bool has_reason(const Intake& intake) const noexcept;

  GiveWayOptions options_;
  std::chrono::milliseconds pause_{0};
};

}  // namespace trialwire::pipeline
