// SPDX-License-Identifier: Apache-2.0
// What a lane counts: the families trialwire_sink_*, labelled with sink and lane. Written by one
// thread at a time, the lane's; what it lacks is computed when it is asked for, so that a delivery
// that hangs hides nothing.
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

/// How far a lane is behind its journal. Any thread.
class LaneLag {
 public:
  using UnixNow = std::function<std::int64_t()>;  // in nanoseconds

  /// Until it is null again, which takes effect before the call returns.
  void follow(const journal::Journal* journal, UnixNow unix_now);
  /// The lane has everything before `next_sequence`; what is there and it lacks is not older than
  /// `since_ns`.
  void reach(std::uint64_t next_sequence, std::int64_t since_ns);

  double records() const;
  double bytes() const;
  double seconds() const;

 private:
  std::uint64_t lacking() const;

  mutable std::mutex mutex_;
  const journal::Journal* journal_ = nullptr;
  UnixNow unix_now_;
  std::uint64_t next_sequence_ = 1;
  std::int64_t since_ns_ = 0;
};

/// Whether what a lane reads knows its size. Kafka's offsets count messages: of a partition there
/// is no lag in bytes, and none is shown.
enum class LagBytes : std::uint8_t { known, unknown };

class LaneMetrics {
 public:
  LaneMetrics(telemetry::Registry& registry, std::string_view sink, unsigned lane,
              LagBytes lag_bytes = LagBytes::known);

  /// So much longer did the lane leave the processor to intake.
  void paused(std::chrono::duration<double> time);

  /// Counts a failed attempt under its code and as one that will be repeated.
  void failed(ErrorCode code);
  void state(LaneState state);
  LaneLag& lag() noexcept { return *lag_; }
  LaneState state() const noexcept { return state_; }
  /// There is no lane of this number for now.
  void ended();

  telemetry::Gauge& running;
  telemetry::Gauge& gives_way;
  telemetry::Counter& delivered;
  telemetry::Counter& retries;
  telemetry::Counter& missing;
  telemetry::Counter& dead_letters;
  telemetry::Gauge& dead_letters_waiting;      // of the whole sink: lane 0 sets it
  telemetry::Counter& dead_letters_forgotten;  // likewise
  telemetry::Histogram& batch_records;
  telemetry::Histogram& batch_bytes;
  telemetry::Histogram& deliver_seconds;

 private:
  telemetry::Registry& registry_;
  telemetry::Labels labels_;
  // A scrape may outlive the lane:
  std::shared_ptr<std::atomic<double>> paused_seconds_;
  std::shared_ptr<LaneLag> lag_;
  std::array<telemetry::Counter*, static_cast<std::size_t>(ErrorCode::count_)> errors_{};
  std::array<telemetry::Gauge*, static_cast<std::size_t>(LaneState::count_)> states_{};
  LaneState state_ = LaneState::starting;
};

}  // namespace trialwire::pipeline
