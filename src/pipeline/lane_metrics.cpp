// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_metrics.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <utility>

namespace trialwire::pipeline {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(LaneState::count_)> state_names{
    "starting", "running", "retrying", "paused", "stuck"};

constexpr double none = std::numeric_limits<double>::quiet_NaN();

telemetry::Labels labels_of(std::string_view sink, unsigned lane) {
  return {{"sink", std::string(sink)}, {"lane", std::to_string(lane)}};
}

}  // namespace

void LaneLag::follow(const journal::Journal* journal, UnixNow unix_now) {
  std::lock_guard lock(mutex_);
  there_ = journal != nullptr;
  journal_ = journal;
  unix_now_ = std::move(unix_now);
}

void LaneLag::reach(std::uint64_t next_sequence, std::int64_t since_ns) {
  std::lock_guard lock(mutex_);
  there_ = journal_ != nullptr;
  next_sequence_ = next_sequence;
  since_ns_ = since_ns;
}

void LaneLag::end() {
  std::lock_guard lock(mutex_);
  there_ = false;
}

std::uint64_t LaneLag::lacking() const {
  const std::uint64_t end = journal_->end().next_sequence;
  return end > next_sequence_ ? end - next_sequence_ : 0;
}

double LaneLag::records() const {
  std::lock_guard lock(mutex_);
  return there_ ? static_cast<double>(lacking()) : none;
}

double LaneLag::bytes() const {
  std::lock_guard lock(mutex_);
  if (!there_) return none;
  return lacking() > 0 ? static_cast<double>(journal_->backlog(next_sequence_).data_bytes) : 0;
}

double LaneLag::seconds() const {
  std::lock_guard lock(mutex_);
  if (!there_) return none;
  if (lacking() == 0) return 0;
  const std::chrono::nanoseconds age(std::max<std::int64_t>(unix_now_() - since_ns_, 0));
  return std::chrono::duration<double>(age).count();
}

void observe_lacking(telemetry::Registry& registry, std::string_view sink,
                     std::function<double()> records, std::function<double()> bytes) {
  const telemetry::Labels labels{{"sink", std::string(sink)}};
  registry.observe("trialwire_sink_lacking_records",
                   "Durable records that the sink does not have yet: with several lanes of a "
                   "journal from where the slowest stands, of partitions all together.",
                   labels, std::move(records));
  if (!bytes) return;
  registry.observe("trialwire_sink_lacking_bytes",
                   "Bytes of the journal that the sink does not have yet, likewise.", labels,
                   std::move(bytes));
}

LaneMetrics::LaneMetrics(telemetry::Registry& registry, std::string_view sink, unsigned lane,
                         LaneSource source)
    : delivered(registry.counter("trialwire_sink_delivered_records_total",
                                 "Records durable in the sink.", labels_of(sink, lane))),
      retries(registry.counter("trialwire_sink_retries_total",
                               "Attempts that failed and were or will be repeated.",
                               labels_of(sink, lane))),
      missing(registry.counter("trialwire_sink_missing_records_total",
                               "Records that the sink lacks and the journal no longer has.",
                               labels_of(sink, lane))),
      dead_letters(registry.counter("trialwire_sink_dead_letters_total",
                                    "Records set aside because the sink refuses them.",
                                    labels_of(sink, lane))),
      dead_letter_parts(registry.counter(
          "trialwire_sink_dead_letter_parts_total",
          "Records set aside whose submission has more in other partitions, set aside or stored.",
          labels_of(sink, lane))),
      batch_records(registry.histogram("trialwire_sink_batch_records", "Records of one delivery.",
                                       telemetry::size_buckets(), labels_of(sink, lane))),
      batch_bytes(registry.histogram("trialwire_sink_batch_bytes",
                                     "Bytes of what was collected for one delivery.",
                                     telemetry::size_buckets(), labels_of(sink, lane))),
      deliver_seconds(registry.histogram(
          "trialwire_sink_deliver_seconds", "Duration of one successful delivery.",
          telemetry::latency_seconds_buckets(), labels_of(sink, lane))),
      registry_(registry),
      labels_(labels_of(sink, lane)),
      shown_(std::make_shared<Shown>()),
      lag_(std::make_shared<LaneLag>()) {
  observe_state();
  observe_lag(sink, source);
}

void LaneMetrics::observe_state() {
  const std::shared_ptr<const Shown> shown = shown_;
  const auto observe = [&](const char* name, const char* help, telemetry::Labels labels,
                           auto holds) {
    registry_.observe(name, help, std::move(labels), [shown, holds] {
      if (shown->state == LaneState::count_) return none;
      return holds(*shown) ? 1.0 : 0.0;
    });
  };
  observe("trialwire_sink_running", "1 while deliveries succeed, 0 while they are retried.",
          labels_, [](const Shown& now) {
            return now.state == LaneState::running || now.state == LaneState::paused;
          });
  observe("trialwire_sink_gives_way",
          "1 while the sink pauses between batches: intake wants the processor.", labels_,
          [](const Shown& now) { return now.gives_way.load(); });
  for (std::size_t i = 0; i < state_names.size(); ++i) {
    telemetry::Labels labels = labels_;
    labels.emplace_back("state", std::string(state_names[i]));
    observe("trialwire_sink_state", "1 for the state that the lane is in.", std::move(labels),
            [i](const Shown& now) { return static_cast<std::size_t>(now.state.load()) == i; });
  }
  registry_.observe_total("trialwire_sink_paused_seconds_total",
                          "Time for which the sink paused to leave the processor to intake.",
                          labels_, [shown] { return shown->paused_seconds.load(); });
}

void LaneMetrics::observe_lag(std::string_view sink, LaneSource source) {
  registry_.observe("trialwire_sink_lag_records",
                    "Durable records from where the lane stands, those of the sink's other lanes "
                    "with them: trialwire_sink_lacking_records has the sink's.",
                    labels_, [lag = lag_] { return lag->records(); });
  if (source == LaneSource::journal) {
    registry_.observe("trialwire_sink_lag_bytes",
                      "Bytes of the journal from where the lane stands, likewise.", labels_,
                      [lag = lag_] { return lag->bytes(); });
  } else {
    observe_lacking(registry_, sink, [lag = lag_] { return lag->records(); }, {});
  }
  registry_.observe("trialwire_sink_lag_seconds",
                    "Age of the oldest record that the sink does not have yet.", labels_,
                    [lag = lag_] { return lag->seconds(); });
}

void LaneMetrics::state(LaneState state) {
  shown_->state = state;
}

void LaneMetrics::ended() {
  shown_->state = LaneState::count_;
  shown_->gives_way = false;
  lag_->end();
}

void LaneMetrics::paused(std::chrono::duration<double> time) {
  shown_->paused_seconds = shown_->paused_seconds + time.count();
}

void LaneMetrics::failed(ErrorCode code) {
  telemetry::Counter*& counter = errors_[static_cast<std::size_t>(code)];
  if (counter == nullptr) {
    telemetry::Labels labels = labels_;
    labels.emplace_back("code", std::string(traits(code).label));
    counter = &registry_.counter("trialwire_sink_errors_total", "Failed attempts by error.",
                                 std::move(labels));
  }
  counter->add();
  retries.add();
}

}  // namespace trialwire::pipeline
