// SPDX-License-Identifier: Apache-2.0
#include "pipeline/dead_letter_watch.hpp"

#include <pthread.h>

#include <utility>

#include "base/unix_time.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {

using telemetry::LogLevel;

DeadLetterWatch::DeadLetterWatch(DeadLetterWatchOptions options, DeadLetters& letters,
                                 telemetry::Registry& metrics)
    : options_(std::move(options)), letters_(letters), metrics_(metrics) {
  if (!options_.unix_now_ns) options_.unix_now_ns = system_unix_ns;
}

DeadLetterWatch::Counts& DeadLetterWatch::counts_of(std::string_view sink) {
  if (auto found = sinks_.find(sink); found != sinks_.end()) return found->second;
  const telemetry::Labels labels{{"sink", std::string(sink)}};
  Counts& counts = sinks_[std::string(sink)];
  counts.waiting = &metrics_.gauge("trialwire_sink_dead_letters_waiting",
                                   "Dead letters of the sink that wait for an operator or for "
                                   "their redelivery.",
                                   labels);
  counts.forgotten = &metrics_.counter(
      "trialwire_sink_dead_letters_forgotten_total",
      "Delivered dead letters deleted: pipeline.dead_letters_keep is over.", labels);
  return counts;
}

void DeadLetterWatch::add(std::string_view sink) {
  counts_of(sink).delivered_to = true;
}

void DeadLetterWatch::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void DeadLetterWatch::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void DeadLetterWatch::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "dead-letters");
  while (!stop.stop_requested()) {
    forget();
    count();
    std::unique_lock lock(mutex_);
    sleeper_.wait_for(lock, stop, options_.look, [] { return false; });
  }
}

void DeadLetterWatch::count() {
  const auto waiting = letters_.waiting();
  if (!waiting) {
    if (!std::exchange(fails_, true)) {
      telemetry::log(LogLevel::error, "pipeline", "the dead letters cannot be counted",
                     {{"error", std::string_view(waiting.error().text)}});
    }
    return;
  }
  fails_ = false;
  for (const auto& [sink, count] : *waiting) counts_of(sink);
  for (auto& [sink, counts] : sinks_) {
    const auto found = waiting->find(sink);
    counts.waiting->set(found == waiting->end() ? 0.0 : static_cast<double>(found->second));
  }
}

/// Where it fails they are kept for longer, and the next look tries again.
void DeadLetterWatch::forget() {
  const auto now = std::chrono::steady_clock::now();
  if (options_.delivered_keep.count() == 0 || now - forgot_ < options_.forget_look) return;
  forgot_ = now;
  const std::int64_t before_ns = options_.unix_now_ns() - options_.delivered_keep.count();
  for (auto& [sink, counts] : sinks_) {
    if (!counts.delivered_to) continue;
    const auto forgotten = letters_.forget_delivered(sink, before_ns);
    if (!forgotten) {
      telemetry::log(
          LogLevel::warn, "pipeline", "delivered dead letters cannot be deleted",
          {{"sink", std::string_view(sink)}, {"error", std::string_view(forgotten.error().text)}});
      continue;
    }
    if (*forgotten == 0) continue;
    counts.forgotten->add(*forgotten);
    telemetry::log(LogLevel::info, "pipeline", "dead letters delivered long ago are deleted",
                   {{"sink", std::string_view(sink)}, {"records", *forgotten}});
  }
}

}  // namespace trialwire::pipeline
