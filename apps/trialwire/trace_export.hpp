// SPDX-License-Identifier: Apache-2.0
// Sends spans to a collector, OTLP/HTTP in JSON, in batches, on a thread of its own. Its queue is
// the tracer's ring: who records waits for nothing, and what is overwritten before it was read is
// counted as dropped. A batch that the collector cannot take now (429, 502, 503, 504, no answer) is
// sent again, with backoff or when its Retry-After says, for as long as it takes; one that it
// refuses with anything else is dropped and counted.
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.hpp"
#include "resilience/backoff.hpp"
#include "telemetry/metrics.hpp"
#include "telemetry/trace/tracer.hpp"

namespace trialwire {

struct TraceExportOptions {
  std::chrono::milliseconds interval{5'000};  // between looks for new spans
  std::size_t batch_spans = 512;
  std::chrono::milliseconds last_deadline{1'000};  // of all that is sent at a stop
  std::chrono::seconds retry_after_max{60};        // longer ones are taken for this
  resilience::BackoffOptions backoff{.first = std::chrono::milliseconds(500)};
};

/// What a collector answered.
struct CollectorAnswer {
  unsigned status = 0;
  std::uint64_t rejected = 0;  // spans of a batch that it took in part
  std::chrono::seconds retry_after{0};
};

/// rejectedSpans of an ExportTraceServiceResponse in JSON; 0 where there is none.
std::uint64_t rejected_spans(std::string_view body);

class TraceExport {
 public:
  /// One attempt: an answer, or why there was none. Returns soon after `stop`. A deadline of 0: its
  /// own.
  struct Attempt {
    std::string body;
    std::chrono::milliseconds deadline{0};
    std::stop_token stop;
  };
  using Send = std::function<Result<CollectorAnswer>(Attempt)>;

  /// Tracer and registry outlive it.
  TraceExport(TraceExportOptions options, const telemetry::Tracer& tracer,
              telemetry::TraceResource resource, Send send, telemetry::Registry& metrics);
  ~TraceExport();
  TraceExport(const TraceExport&) = delete;
  TraceExport& operator=(const TraceExport&) = delete;

  void start();
  /// What is left is sent, for at most `last_deadline` and until an attempt fails; the rest is
  /// dropped, counted and logged. Idempotent.
  void stop() noexcept;

 private:
  enum class Outcome : unsigned char { nothing, done, again };
  using Clock = std::chrono::steady_clock;

  void run(const std::stop_token& stop);
  void send_rest();
  Outcome send_batch(const std::stop_token& stop, std::chrono::milliseconds deadline);
  bool read_batch();
  Outcome put_off(std::string_view reason, unsigned status);

  const TraceExportOptions options_;
  const telemetry::Tracer& tracer_;
  const telemetry::TraceResource resource_;
  const Send send_;
  telemetry::Counter& sent_;
  telemetry::Counter& refused_;
  telemetry::Counter& dropped_;
  telemetry::Counter& failures_;
  // Of the thread.
  std::uint64_t next_ = 0;       // the first one of the ring that was not read
  std::size_t batch_spans_ = 0;  // of `body_`; 0: there is no batch
  std::string body_;
  std::chrono::seconds retry_after_{0};
  bool fails_ = false;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;  // last: it uses all of the above
};

}  // namespace trialwire
