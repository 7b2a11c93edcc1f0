// SPDX-License-Identifier: Apache-2.0
// What a lane counts: the families trialwire_sink_*, labelled with sink and lane. Written by the
// lane's thread only.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::pipeline {

class LaneMetrics {
 public:
  LaneMetrics(telemetry::Registry& registry, std::string_view sink, unsigned lane);

  /// So much longer did the lane leave the processor to intake.
  void paused(std::chrono::duration<double> time);

  /// Counts a failed attempt under its code and as one that will be repeated.
  void failed(ErrorCode code);

  telemetry::Gauge& lag_records;
  telemetry::Gauge& lag_seconds;
  telemetry::Gauge& running;
  telemetry::Gauge& gives_way;
  telemetry::Counter& delivered;
  telemetry::Counter& retries;
  telemetry::Counter& missing;
  telemetry::Histogram& batch_records;
  telemetry::Histogram& deliver_seconds;

 private:
  telemetry::Registry& registry_;
  telemetry::Labels labels_;
  std::shared_ptr<std::atomic<double>> paused_seconds_;  // a scrape may outlive the lane
  std::array<telemetry::Counter*, static_cast<std::size_t>(ErrorCode::count_)> errors_{};
};

}  // namespace trialwire::pipeline
