// SPDX-License-Identifier: Apache-2.0
// What a lane counts: the families trialwire_sink_*, labelled with sink and lane. Written by one
// thread at a time, the lane's; what it lacks is computed when it is asked for, so that a delivery
// that hangs hides nothing. A lane that is no more has no gauges: nobody is woken for it.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "journal/journal.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::pipeline {

enum class LaneState : std::uint8_t {
  starting,  // the sink has not said yet where it is
  running,   // deliveries succeed
  retrying,  // the last attempt failed; time may heal that
  paused,    // it leaves the processor to intake
  stuck,     // it tries on, but wants an operator: nothing is lost, and nothing gets further
  count_,
};

/// How far a lane is behind its journal: records of the sink's other lanes count, too. NaN where
/// there is no lane. Any thread.
class LaneLag {
 public:
  using UnixNow = std::function<std::int64_t()>;  // in nanoseconds

  /// Until it is null again, which takes effect before the call returns.
  void follow(const journal::Journal* journal, UnixNow unix_now);
  /// The lane has everything before `next_sequence`; what is there and it lacks is not older than
  /// `since_ns`.
  void reach(std::uint64_t next_sequence, std::int64_t since_ns);
  /// There is no lane until it follows a journal or reaches something again.
  void end();

  double records() const;
  double bytes() const;
  double seconds() const;

 private:
  std::uint64_t lacking() const;

  mutable std::mutex mutex_;
  bool there_ = false;
  const journal::Journal* journal_ = nullptr;
  UnixNow unix_now_;
  std::uint64_t next_sequence_ = 1;
  std::int64_t since_ns_ = 0;
};

/// What a lane reads. Kafka's offsets count messages: of a partition there is no lag in bytes, and
/// none is shown. A partition is read by one lane, so that what a sink lacks is the sum over its
/// lanes; lanes of a journal share it, and lacking is what the slowest lacks (SinkLanes).
enum class LaneSource : std::uint8_t { journal, partition };

/// What a whole sink lacks, as `records` and `bytes` say (null: not known) whenever it is asked.
void observe_lacking(telemetry::Registry& registry, std::string_view sink,
                     std::function<double()> records, std::function<double()> bytes);

class LaneMetrics {
 public:
  LaneMetrics(telemetry::Registry& registry, std::string_view sink, unsigned lane,
              LaneSource source = LaneSource::journal);

  /// So much longer did the lane leave the processor to intake.
  void paused(std::chrono::duration<double> time);

  /// Counts a failed attempt under its code and as one that will be repeated.
  void failed(ErrorCode code);
  void state(LaneState state);
  void gives_way(bool gives) noexcept { shown_->gives_way = gives; }
  LaneLag& lag() noexcept { return *lag_; }
  std::shared_ptr<const LaneLag> shared_lag() const noexcept { return lag_; }
  LaneState state() const noexcept { return shown_->state; }
  /// There is no lane of this number for now, until it says its state.
  void ended();

  telemetry::Counter& delivered;
  telemetry::Counter& retries;
  telemetry::Counter& missing;
  telemetry::Counter& dead_letters;
  telemetry::Counter& dead_letter_parts;
  telemetry::Histogram& batch_records;
  telemetry::Histogram& batch_bytes;
  telemetry::Histogram& deliver_seconds;

 private:
  struct Shown {
    std::atomic<LaneState> state = LaneState::count_;  // that: there is no lane
    std::atomic<bool> gives_way = false;
    std::atomic<double> paused_seconds = 0.0;
  };

  void observe_state();
  void observe_lag(std::string_view sink, LaneSource source);

  telemetry::Registry& registry_;
  telemetry::Labels labels_;
  // A scrape may outlive the lane:
  std::shared_ptr<Shown> shown_;
  std::shared_ptr<LaneLag> lag_;
  std::array<telemetry::Counter*, static_cast<std::size_t>(ErrorCode::count_)> errors_{};
};

}  // namespace trialwire::pipeline
