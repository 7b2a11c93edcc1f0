// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_background.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "pipeline/background.hpp"
#include "pipeline/lane_gate.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

using telemetry::LogLevel;

constexpr std::chrono::milliseconds look{250};  // so often a pause looks whether its reason holds

}  // namespace

void LaneBackground::enter() {
  if (!core_.options.background) return;
  if (!enter_background()) {
    telemetry::log(LogLevel::info, "pipeline", "the sink's thread runs at normal priority",
                   {{"sink", core_.consumer}});
  }
  {
    std::lock_guard lock(mutex_);
    thread_ = ::gettid();
  }
  clock_.emplace();
  if (!processor_time()) {
    telemetry::log(LogLevel::info, "pipeline",
                   "the sink does not pause for intake: the kernel tells nothing of waiting times",
                   {{"sink", core_.consumer}});
  }
}

void LaneBackground::leave() {
  std::lock_guard lock(mutex_);
  if (thread_ == 0 || leave_background(thread_)) return;
  telemetry::log(LogLevel::debug, "pipeline", "the sink's thread stays in background",
                 {{"sink", core_.consumer}});
}

std::optional<ProcessorTime> LaneBackground::processor_time() const {
  if (!clock_) return std::nullopt;
  return core_.options.processor_time ? core_.options.processor_time() : clock_->read();
}

Intake LaneBackground::intake_since_asked() {
  core_.refresh_lag();
  const std::uint64_t end = core_.journal.end().next_sequence;
  const auto now = Clock::now();
  const std::uint64_t appended = end - std::exchange(asked_sequence_, end);
  const LaneGate* gate = core_.options.gate;
  const std::uint64_t lanes = gate == nullptr ? 1 : gate->schedule().spans().back().lanes;
  core_.pace.arrived(appended / lanes, now - std::exchange(asked_, now));
  return {.appended = appended,
          .backlog = core_.journal.backlog(core_.durable.next_sequence),
          .lag = core_.lag,
          .sink_keeps_up = core_.pace.keeps_up()};
}

void LaneBackground::batch_begins() {
  batch_began_ = processor_time();
}

void LaneBackground::batch_done() {
  auto now = processor_time();
  if (!now || !batch_began_) return;
  give_way_.batch_done(*now - *batch_began_, intake_since_asked());
  core_.metrics.gives_way(give_way_.gives_way());
}

void LaneBackground::pause(const std::stop_token& stop) {
  if (!give_way_.gives_way()) return;
  const LaneState before = core_.metrics.state();
  if (before == LaneState::running) core_.metrics.state(LaneState::paused);
  auto began = Clock::now();
  auto until = began + give_way_.pause();
  for (auto now = began; now < until && !stop.stop_requested(); now = Clock::now()) {
    core_.pause(std::min(rounded_up(until - now), look), stop);
    if (!give_way_.goes_on(intake_since_asked())) break;
  }
  core_.metrics.paused(Clock::now() - began);
  core_.metrics.gives_way(give_way_.gives_way());
  core_.metrics.state(before);
}

}  // namespace trialwire::pipeline
