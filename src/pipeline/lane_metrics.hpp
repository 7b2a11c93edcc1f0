// SPDX-License-Identifier: Apache-2.0
// What a lane counts: the families trialwire_sink_*, labelled with sink and lane. Written by the
// lane's thread only.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
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

class LaneMetrics {
 public:
  LaneMetrics(telemetry::Registry& registry, std::string_view sink, unsigned lane);

  /// So much longer did the lane leave the processor to intake.
  void paused(std::chrono::duration<double> time);

  /// Counts a failed attempt under its code and as one that will be repeated.
  void failed(ErrorCode code);
  void state(LaneState state);
  LaneState state() const noexcept { return state_; }

  telemetry::Gauge& lag_records;
  telemetry::Gauge& lag_bytes;
  telemetry::Gauge& lag_seconds;
  telemetry::Gauge& running;
  telemetry::Gauge& gives_way;
  telemetry::Counter& delivered;
  telemetry::Counter& retries;
  telemetry::Counter& missing;
  telemetry::Counter& dead_letters;
  telemetry::Gauge& dead_letters_waiting;  // of the whole sink: lane 0 sets it
  telemetry::Histogram& batch_records;
  telemetry::Histogram& batch_bytes;
  telemetry::Histogram& deliver_seconds;

 private:
  telemetry::Registry& registry_;
  telemetry::Labels labels_;
  std::shared_ptr<std::atomic<double>> paused_seconds_;  // a scrape may outlive the lane
  std::array<telemetry::Counter*, static_cast<std::size_t>(ErrorCode::count_)> errors_{};
  std::array<telemetry::Gauge*, static_cast<std::size_t>(LaneState::count_)> states_{};
  LaneState state_ = LaneState::starting;
};

}  // namespace trialwire::pipeline
