// SPDX-License-Identifier: Apache-2.0
// What the parts of a lane (reader, delivery, background) share: where it stands, what it says of
// itself, how it waits. Used by the lane's thread, but for what is marked otherwise.
//
//   held ≤ durable ≤ taken     held      the journal keeps everything from there on
//                              durable   everything of this lane before it is in the sink
//                              taken     after the last record that was read for this lane
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "journal/journal.hpp"
#include "pipeline/lane_metrics.hpp"
#include "pipeline/lane_options.hpp"
#include "pipeline/pace.hpp"
#include "pipeline/record_batch.hpp"
#include "pipeline/sink.hpp"

namespace trialwire::pipeline {

using Clock = std::chrono::steady_clock;

/// Of a wait, rounded up; never negative.
std::chrono::milliseconds rounded_up(Clock::duration duration);

struct LaneCore {
  LaneCore(LaneOptions lane_options, journal::Journal& from, std::unique_ptr<Sink> to,
           telemetry::Registry& registry);
  ~LaneCore();
  LaneCore(const LaneCore&) = delete;
  LaneCore& operator=(const LaneCore&) = delete;

  /// The journal keeps everything from `cursor` on.
  void hold(const journal::Cursor& cursor);
  /// Everything of this lane before `next_sequence` is in the sink; 0: the sink does not say so.
  void reach(std::uint64_t next_sequence);
  /// Of a lane that is no more: it holds nothing back and lacks nothing. False: see LaneGate::end.
  bool end(std::uint64_t returns);
  void refresh_lag();

  /// An attempt failed and will be repeated. `stuck`: it will not get better by itself.
  void failed(const Error& error, std::string_view doing, bool stuck);
  void failed(const Error& error, std::string_view doing);
  void succeeded();
  /// As Lane::trouble; any thread.
  std::string trouble() const;
  void pause(std::chrono::milliseconds duration, const std::stop_token& stop);
  void pause_after_failure(const std::stop_token& stop);

  LaneOptions options;
  journal::Journal& journal;
  std::unique_ptr<Sink> sink;
  const std::string consumer;                      // the name of its cursor in the journal
  const std::unique_ptr<LaneMetrics> own_metrics;  // null: those of the options
  LaneMetrics& metrics;
  RecordBatch batch;  // what is to be delivered next

  bool answered = false;                 // the sink has said where it is …
  bool refused = false;                  // … which cannot be …
  bool located = false;                  // … and the journal knows that place
  std::uint64_t bound = UINT64_MAX;      // the sink can be there or before, …
  std::set<std::uint64_t> tried;         // … or at one of these: deliveries of unknown outcome
  std::uint64_t said = 1;                // the sink's cursor in its own words
  std::uint64_t held = 1;                // see above
  journal::Cursor taken;                 // likewise
  journal::Cursor durable;               // likewise
  Clock::time_point stored{};            // when `said` was last moved
  Clock::time_point heard{};             // when the sink last said that it is there
  std::int64_t durable_received_ns = 0;  // of the last delivered record
  std::int64_t started_ns = 0;
  std::int64_t has_all_ns = 0;     // when the sink last had everything
  std::chrono::nanoseconds lag{};  // age of the oldest record that the sink does not have
  Pace pace;
  unsigned failures = 0;
  /// As Lane::next_sequence; any thread.
  std::atomic<std::uint64_t> next_sequence{0};

 private:
  std::minstd_rand random_;
  std::mutex sleep_mutex_;
  std::condition_variable_any sleeper_;
  mutable std::mutex trouble_mutex_;  // of the next one
  std::string trouble_;
};

}  // namespace trialwire::pipeline
