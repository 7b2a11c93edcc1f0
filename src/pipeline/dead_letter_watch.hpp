// SPDX-License-Identifier: Apache-2.0
// Counts the dead letters that wait, by sink, and deletes what was delivered long ago: whether or
// not the sink answers, has lanes in this process, or is configured at all any more. Metrics:
// trialwire_sink_dead_letters_waiting{sink}, trialwire_sink_dead_letters_forgotten_total{sink}.
//
// A thread of its own, which looks once a second; a store that cannot be read is logged once, and
// its counts stay as they were.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "pipeline/dead_letters.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::pipeline {

struct DeadLetterWatchOptions {
  std::chrono::milliseconds look{1'000};
  /// So long is a dead letter kept after it was delivered, should its sink go back to before that;
  /// 0: for ever. Those of sinks that were not added are kept.
  std::chrono::nanoseconds delivered_keep = std::chrono::hours(30 * 24);
  std::chrono::milliseconds forget_look{60'000};
  std::function<std::int64_t()> unix_now_ns;  // empty: the system clock
};

class DeadLetterWatch {
 public:
  /// Both outlive it.
  DeadLetterWatch(DeadLetterWatchOptions options, DeadLetters& letters,
                  telemetry::Registry& metrics);
  ~DeadLetterWatch() { stop(); }
  DeadLetterWatch(const DeadLetterWatch&) = delete;
  DeadLetterWatch& operator=(const DeadLetterWatch&) = delete;

  /// Before the start: one that this process delivers to.
  void add(std::string_view sink);
  void start();
  void stop();

 private:
  struct Counts {
    telemetry::Gauge* waiting = nullptr;
    telemetry::Counter* forgotten = nullptr;
    bool delivered_to = false;  // by this process
  };

  void run(const std::stop_token& stop);
  void count();
  void forget();
  Counts& counts_of(std::string_view sink);

  DeadLetterWatchOptions options_;
  DeadLetters& letters_;
  telemetry::Registry& metrics_;
  std::map<std::string, Counts, std::less<>> sinks_;  // the thread's, once it runs
  bool fails_ = false;
  std::chrono::steady_clock::time_point forgot_{};
  std::mutex mutex_;
  std::condition_variable_any sleeper_;
  std::jthread thread_;
};

}  // namespace trialwire::pipeline
