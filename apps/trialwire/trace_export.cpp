// SPDX-License-Identifier: Apache-2.0
#include "trace_export.hpp"

#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include <boost/json/parse.hpp>

#include "runtime/signals_blocked.hpp"
#include "telemetry/log.hpp"

namespace trialwire {
namespace {

using std::chrono::milliseconds;
using telemetry::LogLevel;

/// Statuses by which a collector says that it may take the same later (OTLP specification, 1.0).
bool may_succeed_later(unsigned status) noexcept {
  return status == 429 || status == 502 || status == 503 || status == 504;
}

}  // namespace

std::uint64_t rejected_spans(std::string_view body) {
  boost::system::error_code error;
  const auto answer = boost::json::parse(body, error);
  const auto* whole = error ? nullptr : answer.if_object();
  const auto* partial = whole == nullptr ? nullptr : whole->if_contains("partialSuccess");
  const auto* parts = partial == nullptr ? nullptr : partial->if_object();
  const auto* count = parts == nullptr ? nullptr : parts->if_contains("rejectedSpans");
  if (count == nullptr) return 0;
  // 64-bit numbers are texts in the JSON of Protocol Buffers; both are to be read.
  if (const auto* text = count->if_string()) {
    std::uint64_t number = 0;
    const char* end = text->data() + text->size();
    const auto read = std::from_chars(text->data(), end, number);
    return read.ec == std::errc() && read.ptr == end ? number : 0;
  }
  const auto* number = count->if_int64();
  return number == nullptr || *number < 0 ? 0 : static_cast<std::uint64_t>(*number);
}

TraceExport::TraceExport(TraceExportOptions options, const telemetry::Tracer& tracer,
                         telemetry::TraceResource resource, Send send, telemetry::Registry& metrics)
    : options_(options),
      tracer_(tracer),
      resource_(std::move(resource)),
      send_(std::move(send)),
      sent_(metrics.counter("trialwire_trace_export_spans_total",
                            "Spans on their way to the collector, by what became of them.",
                            {{"result", "sent"}})),
      refused_(metrics.counter("trialwire_trace_export_spans_total", "", {{"result", "refused"}})),
      dropped_(metrics.counter("trialwire_trace_export_spans_total", "", {{"result", "dropped"}})),
      failures_(metrics.counter("trialwire_trace_export_failures_total",
                                "Attempts that the collector did not take.")) {}

TraceExport::~TraceExport() {
  stop();
}

void TraceExport::start() {
  const runtime::SignalsBlocked blocked;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void TraceExport::stop() noexcept {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

void TraceExport::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "trace-export");
  std::minstd_rand dice(std::random_device{}());
  std::uniform_real_distribution<double> chance(0, 1);
  unsigned failures = 0;
  while (!stop.stop_requested()) {
    const bool more = tracer_.recorded() - next_ >= options_.batch_spans;
    milliseconds wait = more ? milliseconds(0) : options_.interval;
    if (failures > 0) {
      wait = std::max<milliseconds>(resilience::backoff(options_.backoff, failures, chance(dice)),
                                    retry_after_);
    }
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, stop, wait, [] { return false; });
    }
    if (stop.stop_requested()) break;
    failures = send_batch(stop, milliseconds(0)) == Outcome::again ? failures + 1 : 0;
  }
  send_rest();
}

void TraceExport::send_rest() {
  const auto end = Clock::now() + options_.last_deadline;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(end - Clock::now());
    if (left <= milliseconds(0) || send_batch({}, left) != Outcome::done) break;
  }
  // What was overwritten since is counted with it.
  const std::uint64_t end_of_all = tracer_.recorded();
  const std::uint64_t lost = std::exchange(batch_spans_, 0) + end_of_all - next_;
  next_ = end_of_all;
  if (lost == 0) return;
  dropped_.add(lost);
  telemetry::log(LogLevel::warn, "trace", "spans were not sent before the end", {{"spans", lost}});
}

/// False: there is nothing to send.
bool TraceExport::read_batch() {
  if (batch_spans_ != 0) return true;
  const auto page = tracer_.from(next_, options_.batch_spans);
  dropped_.add(page.missed);
  next_ = page.next;
  if (page.spans.empty()) return false;
  body_ = otlp_json(page.spans, resource_);
  batch_spans_ = page.spans.size();
  return true;
}

TraceExport::Outcome TraceExport::put_off(std::string_view reason, unsigned status) {
  failures_.add();
  if (!std::exchange(fails_, true)) {
    telemetry::log(LogLevel::warn, "trace", "the collector takes no spans",
                   {{"reason", reason}, {"status", status}});
  }
  return Outcome::again;
}

TraceExport::Outcome TraceExport::send_batch(const std::stop_token& stop, milliseconds deadline) {
  if (!read_batch()) return Outcome::nothing;
  const auto answer = send_({body_, deadline, stop});
  retry_after_ =
      answer ? std::min(answer->retry_after, options_.retry_after_max) : std::chrono::seconds(0);
  if (!answer && stop.stop_requested()) return Outcome::again;  // it was taken back
  if (!answer) return put_off(answer.error().text, 0);
  if (may_succeed_later(answer->status)) return put_off("it is busy", answer->status);
  const std::size_t count = std::exchange(batch_spans_, 0);
  if (answer->status < 200 || answer->status >= 300) {
    refused_.add(count);
    put_off("it refuses them", answer->status);
    return Outcome::done;
  }
  const auto rejected = std::min<std::uint64_t>(answer->rejected, count);
  sent_.add(count - rejected);
  refused_.add(rejected);
  if (std::exchange(fails_, false)) {
    telemetry::log(LogLevel::info, "trace", "the collector takes spans again");
  }
  return Outcome::done;
}

}  // namespace trialwire
