// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_core.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/unix_time.hpp"
#include "pipeline/lane_gate.hpp"
#include "pipeline/sink_error.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

using std::chrono::milliseconds;
using telemetry::LogLevel;

constexpr milliseconds gauges_refreshed{1'000};  // at least so often while it waits

std::string consumer_of(std::string_view sink, const LaneOptions& options) {
  std::string_view space = options.source.empty() ? "" : " ";
  return fmt::format("{}/{}{}{}", sink, options.lane, space, options.source);
}

}  // namespace

milliseconds rounded_up(Clock::duration duration) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(duration));
}

LaneCore::LaneCore(LaneOptions lane_options, journal::Journal& from, std::unique_ptr<Sink> to,
                   telemetry::Registry& registry)
    : options(std::move(lane_options)),
      journal(from),
      sink(std::move(to)),
      consumer(consumer_of(sink->name(), options)),
      own_metrics(options.metrics == nullptr
                      ? std::make_unique<LaneMetrics>(registry, sink->name(), options.lane)
                      : nullptr),
      metrics(own_metrics ? *own_metrics : *options.metrics),
      batch(options.batch_bytes_max),
      random_(std::random_device{}()) {
  if (!options.unix_now_ns) options.unix_now_ns = system_unix_ns;
  metrics.lag().follow(&journal, options.unix_now_ns);
  metrics.state(LaneState::starting);
}

void LaneCore::hold(const journal::Cursor& cursor) {
  journal.set_cursor(consumer, cursor);
  held = cursor.next_sequence;
}

void LaneCore::reach(std::uint64_t sequence) {
  if (options.gate != nullptr) options.gate->reach(options.lane, sequence);
  next_sequence.store(sequence, std::memory_order_release);
  if (options.on_durable) options.on_durable();
}

bool LaneCore::end(std::uint64_t returns) {
  if (!options.gate->end(options.lane, returns)) return false;
  hold({durable.journal, LaneGate::ended});
  metrics.ended();
  next_sequence.store(LaneGate::ended, std::memory_order_release);
  if (options.on_durable) options.on_durable();
  return true;
}

LaneCore::~LaneCore() {
  metrics.lag().follow(nullptr, {});
  metrics.ended();
}

void LaneCore::refresh_lag() {
  const std::int64_t now_ns = options.unix_now_ns();
  const std::uint64_t end = journal.end().next_sequence;
  // What was read and is of other lanes is no lag.
  const std::uint64_t from = !located        ? std::max(journal.begin().next_sequence, held)
                             : batch.empty() ? taken.next_sequence
                                             : durable.next_sequence;
  const bool has_all = end <= from;
  if (has_all) has_all_ns = now_ns;
  // The age of the oldest undelivered record, or the best that is known of it.
  const std::int64_t since = !batch.empty()
                                 ? batch.records().front().attributes.received_ns
                                 : std::max({durable_received_ns, started_ns, has_all_ns});
  lag = std::chrono::nanoseconds(has_all ? 0 : std::max<std::int64_t>(now_ns - since, 0));
  metrics.lag().reach(from, since);
}

void LaneCore::failed(const Error& error, std::string_view doing) {
  failed(error, doing, !may_pass(error.code));
}

void LaneCore::failed(const Error& error, std::string_view doing, bool stuck) {
  ++failures;
  metrics.state(stuck ? LaneState::stuck : LaneState::retrying);
  metrics.failed(error.code);
  {
    std::lock_guard lock(trouble_mutex_);
    trouble_ = error.text;
  }
  telemetry::log(stuck ? LogLevel::error : LogLevel::warn, "pipeline",
                 "a sink failed and is retried",
                 {{"sink", consumer},
                  {"doing", doing},
                  {"code", traits(error.code).label},
                  {"error", std::string_view(error.text)},
                  {"failed_attempts", std::uint64_t{failures}}});
}

void LaneCore::succeeded() {
  metrics.state(LaneState::running);
  if (failures == 0) return;
  {
    std::lock_guard lock(trouble_mutex_);
    trouble_.clear();
  }
  telemetry::log(LogLevel::info, "pipeline", "the sink takes records again",
                 {{"sink", consumer}, {"failed_attempts", std::uint64_t{failures}}});
  failures = 0;
}

std::string LaneCore::trouble() const {
  std::lock_guard lock(trouble_mutex_);
  return trouble_;
}

void LaneCore::pause(milliseconds duration, const std::stop_token& stop) {
  std::unique_lock lock(sleep_mutex_);
  sleeper_.wait_for(lock, stop, duration, [] { return false; });
}

void LaneCore::pause_after_failure(const std::stop_token& stop) {
  double chance = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
  milliseconds left = resilience::backoff(options.backoff, failures, chance);
  while (left > milliseconds(0) && !stop.stop_requested()) {
    refresh_lag();
    milliseconds slice = std::min(left, gauges_refreshed);
    pause(slice, stop);
    left -= slice;
  }
}

}  // namespace trialwire::pipeline
