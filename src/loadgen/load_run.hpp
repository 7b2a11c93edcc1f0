// SPDX-License-Identifier: Apache-2.0
// A whole load run: source, workers, window, result. Blocks until the run is over; starts
// `threads` threads and joins them.
#pragma once
#include <atomic>
#include <functional>

#include "loadgen/load_options.hpp"
#include "loadgen/totals.hpp"

namespace trialwire::loadgen {

struct LoadResult {
  LoadOptions options;
  std::string endpoint;              // "host:port"
  double report_bytes = 0;           // of one report, on average, before compression
  double window_seconds = 0;         // measured
  std::int64_t window_start_ns = 0;  // CLOCK_MONOTONIC, so that others can measure the same time
  std::int64_t window_end_ns = 0;
  bool interrupted = false;
  Totals totals;
};

struct ProgressView {
  double seconds = 0;  // since the start
  std::uint64_t answered = 0;
  std::uint64_t refused = 0;
  std::uint64_t unanswered = 0;
};

struct LoadHooks {
  const std::atomic<bool>& stop;                         // set: end as if the time were up
  std::function<void(const ProgressView&)> on_progress;  // once a second; may be empty
  std::function<void()> on_connected = {};               // `stop` is looked at from here on
};

/// Errors are those that keep a run from starting: options, file, connecting.
Result<LoadResult> run_load(const LoadOptions& options, const LoadHooks& hooks);

}  // namespace trialwire::loadgen
