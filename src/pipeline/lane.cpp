// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane.hpp"

#include <pthread.h>

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

#include "pipeline/cursor_bounds.hpp"
#include "pipeline/lane_background.hpp"
#include "pipeline/lane_core.hpp"
#include "pipeline/lane_delivery.hpp"
#include "pipeline/lane_gate.hpp"
#include "pipeline/lane_reader.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

using telemetry::LogLevel;
using Outcome = LaneDelivery::Outcome;

}  // namespace

struct Lane::State {
  State(LaneOptions options, journal::Journal& from, std::unique_ptr<Sink> to,
        telemetry::Registry& registry)
      : core(std::move(options), from, std::move(to), registry),
        reader(core),
        delivery(core),
        background(core) {}

  void run(const std::stop_token& stop);
  void round(const std::stop_token& stop);
  void deliver(const std::stop_token& stop);
  bool retire(const std::stop_token& stop);
  void wait_as_ended(const std::stop_token& stop);
  void end();
  void request_stop();
  void stop();

  LaneCore core;
  LaneReader reader;
  LaneDelivery delivery;
  LaneBackground background;

  bool holds = false;
  std::mutex end_mutex;  // of the next two
  std::condition_variable end_reached;
  bool ended = false;  // the thread needs nothing any more
  std::optional<Clock::time_point> stop_requested;
  std::jthread thread;
};

void Lane::State::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "sink-lane");
  background.enter();
  while (!stop.stop_requested()) {
    core.refresh_lag();
    if (reader.is_retired()) {
      if (retire(stop)) wait_as_ended(stop);
    } else {
      round(stop);
    }
  }
  if (core.next_sequence.load() != LaneGate::ended) core.refresh_lag();
  end();
}

void Lane::State::round(const std::stop_token& stop) {
  if (!reader.is_open()) {
    if (auto opened = reader.open(); !opened) {
      core.failed(opened.error(), "asking the sink where it is");
      if (!core.located) core.sink->reset();
      core.pause_after_failure(stop);
      return;
    }
  }
  bool readable =
      reader.collect(background.gives_way(), [this] { background.batch_begins(); }, stop);
  if (!core.batch.empty() || reader.cursor_is_due()) deliver(stop);
  if (!readable) core.pause_after_failure(stop);
  if (delivery.redeliver_asked(stop) == Outcome::moved ||
      delivery.check_idle(stop) == Outcome::moved) {
    reader.start_over();
  }
  reader.wait_at_barrier(stop);
  background.pause(stop);
}

void Lane::State::deliver(const std::stop_token& stop) {
  reader.delivery_begins();
  switch (delivery.deliver(stop)) {
    case Outcome::done:
      background.batch_done();
      break;
    case Outcome::moved:
      reader.start_over();
      break;
    case Outcome::stopped:
      break;
  }
}

/// There are fewer lanes now, and this one has delivered all that was its own: true when that is
/// stored and it holds nothing back any more.
bool Lane::State::retire(const std::stop_token& stop) {
  if (core.said < core.taken.next_sequence) deliver(stop);
  if (!reader.is_retired() || core.said < core.taken.next_sequence) return false;
  // What the others find from here on, this lane sees, or is told.
  const std::uint64_t returns = core.options.gate->returns();
  const auto cursor = core.sink->durable_cursor(core.durable.journal);
  if (!cursor || cursor->next_sequence != core.said) {
    core.sink->reset();
    reader.start_over();
    return false;
  }
  if (!core.end(returns)) return false;
  core.sink->reset();
  telemetry::log(LogLevel::info, "pipeline", "a lane has ended: the sink has fewer now",
                 {{"sink", core.consumer}});
  return true;
}

/// Without a connection, until the destination is found to have gone back to before the change.
void Lane::State::wait_as_ended(const std::stop_token& stop) {
  core.options.gate->wait_while_ended(core.options.lane, stop);
  if (stop.stop_requested()) return;
  telemetry::log(LogLevel::info, "pipeline",
                 "a lane that had ended starts again: the sink has gone back",
                 {{"sink", core.consumer}});
  core.metrics.state(LaneState::starting);
  core.hold(core.journal.begin());
  reader.start_over();
}

void Lane::State::end() {
  std::lock_guard lock(end_mutex);
  ended = true;
  end_reached.notify_all();
}

void Lane::State::request_stop() {
  if (stop_requested || !thread.joinable()) return;
  stop_requested = Clock::now();
  thread.request_stop();
  std::lock_guard lock(end_mutex);
  if (!ended) background.leave();
}

void Lane::State::stop() {
  if (!thread.joinable()) return;
  request_stop();
  std::unique_lock lock(end_mutex);
  bool in_time = end_reached.wait_until(lock, *stop_requested + core.options.stop_patience,
                                        [this] { return ended; });
  lock.unlock();
  if (!in_time) {
    telemetry::log(LogLevel::info, "pipeline", "the sink's delivery is given up for now",
                   {{"sink", core.consumer}});
    core.sink->give_up();
  }
  thread.join();
}

Lane::Lane(LaneOptions options, journal::Journal& journal, std::unique_ptr<Sink> sink,
           telemetry::Registry& metrics)
    : state_(std::make_unique<State>(std::move(options), journal, std::move(sink), metrics)) {}

Lane::~Lane() {
  stop();
}

void Lane::hold(const journal::Cursor& from) {
  state_->holds = true;
  state_->core.hold(from);
}

Result<void> Lane::start() {
  State& state = *state_;
  LaneCore& core = state.core;
  core.started_ns = core.options.unix_now_ns();
  // Before the sink is asked: nothing may be deleted until it has said that it has it.
  if (!state.holds) hold(core.journal.begin());
  if (core.options.bounds != nullptr) {
    core.bound = core.options.bounds->of(core.options.lane);
  } else if (core.options.delivers_alone) {
    core.bound = core.journal.end().next_sequence;
  }
  if (core.options.asks_at_start) {
    if (auto opened = state.reader.open(); !opened) {
      if (core.answered || core.refused) return opened;
      core.failed(opened.error(), "asking the sink where it is");
      core.sink->reset();
    }
    core.refresh_lag();
  }
  state.background.intake_is_at(core.journal.end().next_sequence);
  state.thread = std::jthread([&state](const std::stop_token& stop) { state.run(stop); });
  return {};
}

void Lane::request_stop() {
  state_->request_stop();
}

void Lane::stop() {
  state_->stop();
}

std::string Lane::trouble() const {
  return state_->core.trouble();
}

std::string_view Lane::sink_name() const noexcept {
  return state_->core.sink->name();
}

std::shared_ptr<const LaneLag> Lane::lag() const noexcept {
  return state_->core.metrics.shared_lag();
}

std::uint64_t Lane::next_sequence() const noexcept {
  return state_->core.next_sequence.load(std::memory_order_acquire);
}

}  // namespace trialwire::pipeline
