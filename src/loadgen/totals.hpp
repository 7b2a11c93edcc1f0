// SPDX-License-Identifier: Apache-2.0
// What one worker counted, and the few of those figures that others may read while it runs.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "loadgen/histogram.hpp"

namespace trialwire::loadgen {

struct Totals {
  // Of the whole run, warm-up and the last answers included.
  std::array<std::uint64_t, 600> by_status{};
  std::uint64_t sent = 0;
  std::uint64_t answered = 0;
  std::uint64_t accepted_reports = 0;
  std::uint64_t rejected_reports = 0;  // lines of NDJSON that a 200 or a 400 rejects
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t connections_failed = 0;  // never opened
  std::uint64_t connections_lost = 0;    // closed by the server, or given up
  std::uint64_t reconnected = 0;
  std::uint64_t unanswered = 0;  // requests sent and never answered: their outcome is unknown
  std::uint64_t timed_out = 0;   // those of them given up after --timeout
  std::uint64_t malformed = 0;   // connections given up for what they answered
  std::uint64_t not_sent = 0;    // due in an open loop, but no connection was free until the end
  std::string first_error;
  // Of the measured window.
  std::uint64_t window_answered = 0;
  std::uint64_t window_accepted_reports = 0;
  std::uint64_t window_cpu_ns = 0;  // of the worker's thread
  LatencyHistogram latency;

  void merge(const Totals& other);
};

struct Progress {
  std::atomic<std::uint64_t> answered{0};
  std::atomic<std::uint64_t> refused{0};  // answers that are not 2xx
  std::atomic<std::uint64_t> unanswered{0};
};

}  // namespace trialwire::loadgen
