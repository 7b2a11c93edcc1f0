// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_metrics.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace trialwire::pipeline {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(LaneState::count_)> state_names{
    "starting", "running", "retrying", "paused", "stuck"};

telemetry::Labels labels_of(std::string_view sink, unsigned lane) {
  return {{"sink", std::string(sink)}, {"lane", std::to_string(lane)}};
}

}  // namespace

void LaneLag::follow(const journal::Journal* journal, UnixNow unix_now) {
  std::lock_guard lock(mutex_);
  journal_ = journal;
  unix_now_ = std::move(unix_now);
}

void LaneLag::reach(std::uint64_t next_sequence, std::int64_t since_ns) {
  std::lock_guard lock(mutex_);
  next_sequence_ = next_sequence;
  since_ns_ = since_ns;
}

std::uint64_t LaneLag::lacking() const {
  const std::uint64_t end = journal_ == nullptr ? 0 : journal_->end().next_sequence;
  return end > next_sequence_ ? end - next_sequence_ : 0;
}

double LaneLag::records() const {
  std::lock_guard lock(mutex_);
  return static_cast<double>(lacking());
}

double LaneLag::bytes() const {
  std::lock_guard lock(mutex_);
  return lacking() > 0 ? static_cast<double>(journal_->backlog(next_sequence_).data_bytes) : 0;
}

double LaneLag::seconds() const {
  std::lock_guard lock(mutex_);
  if (lacking() == 0) return 0;
  const std::chrono::nanoseconds age(std::max<std::int64_t>(unix_now_() - since_ns_, 0));
  return std::chrono::duration<double>(age).count();
}

LaneMetrics::LaneMetrics(telemetry::Registry& registry, std::string_view sink, unsigned lane,
                         LagBytes lag_bytes)
    : running(registry.gauge("trialwire_sink_running",
                             "1 while deliveries succeed, 0 while they are retried.",
                             labels_of(sink, lane))),
      gives_way(registry.gauge("trialwire_sink_gives_way",
                               "1 while the sink pauses between batches: intake wants the "
                               "processor.",
                               labels_of(sink, lane))),
      delivered(registry.counter("trialwire_sink_delivered_records_total",
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
      dead_letters_waiting(registry.gauge("trialwire_sink_dead_letters_waiting",
                                          "Dead letters of the sink that wait for an operator or "
                                          "for their redelivery.",
                                          {{"sink", std::string(sink)}})),
      dead_letters_forgotten(
          registry.counter("trialwire_sink_dead_letters_forgotten_total",
                           "Delivered dead letters deleted: pipeline.dead_letters_keep is over.",
                           {{"sink", std::string(sink)}})),
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
      paused_seconds_(std::make_shared<std::atomic<double>>(0.0)),
      lag_(std::make_shared<LaneLag>()) {
  registry.observe("trialwire_sink_lag_records",
                   "Durable journal records that the sink does not have yet.", labels_,
                   [lag = lag_] { return lag->records(); });
  if (lag_bytes == LagBytes::known) {
    registry.observe("trialwire_sink_lag_bytes",
                     "Bytes of the journal that the sink does not have yet.", labels_,
                     [lag = lag_] { return lag->bytes(); });
  }
  registry.observe("trialwire_sink_lag_seconds",
                   "Age of the oldest record that the sink does not have yet.", labels_,
                   [lag = lag_] { return lag->seconds(); });
  registry.observe_total("trialwire_sink_paused_seconds_total",
                         "Time for which the sink paused to leave the processor to intake.",
                         labels_, [seconds = paused_seconds_] { return seconds->load(); });
  for (std::size_t i = 0; i < states_.size(); ++i) {
    telemetry::Labels labels = labels_;
    labels.emplace_back("state", std::string(state_names[i]));
    states_[i] = &registry.gauge("trialwire_sink_state", "1 for the state that the lane is in.",
                                 std::move(labels));
  }
  state(LaneState::starting);
}

void LaneMetrics::state(LaneState state) {
  state_ = state;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    states_[i]->set(i == static_cast<std::size_t>(state) ? 1 : 0);
  }
  running.set(state == LaneState::running || state == LaneState::paused ? 1 : 0);
}

void LaneMetrics::ended() {
  state_ = LaneState::starting;
  for (telemetry::Gauge* state : states_) state->set(0);
  running.set(0);
  gives_way.set(0);
}

void LaneMetrics::paused(std::chrono::duration<double> time) {
  paused_seconds_->store(paused_seconds_->load() + time.count());
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
