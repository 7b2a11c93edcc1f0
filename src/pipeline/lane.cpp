// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "pipeline/background.hpp"
#include "pipeline/give_way.hpp"
#include "pipeline/lane_metrics.hpp"
#include "pipeline/processor_time.hpp"
#include "pipeline/record_batch.hpp"
#include "telemetry/log.hpp"

namespace trialwire::pipeline {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using telemetry::LogLevel;

constexpr milliseconds idle_wait{1'000};    // then the gauges are refreshed
constexpr milliseconds give_way_look{250};  // so often a pause looks whether its reason holds

std::int64_t system_unix_ns() {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

milliseconds rounded_up(Clock::duration duration) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(duration));
}

}  // namespace

struct Lane::State {
  State(LaneOptions lane_options, journal::Journal& from, std::unique_ptr<Sink> to,
        telemetry::Registry& registry)
      : options(std::move(lane_options)),
        journal(from),
        sink(std::move(to)),
        consumer(fmt::format("{}/{}", sink->name(), options.lane)),
        metrics(registry, sink->name(), options.lane),
        batch(options.batch_bytes_max),
        random(std::random_device{}()),
        give_way(options.give_way) {
    if (!options.unix_now_ns) options.unix_now_ns = system_unix_ns;
  }

  Result<void> open_reader();
  Result<void> locate();
  bool may_repeat(const std::stop_token& stop);
  void start_over();
  void hold(const journal::Cursor& cursor);
  void records_missing();
  void end();
  void stop();
  void run(const std::stop_token& stop);
  bool collect(const std::stop_token& stop);
  bool full() const noexcept;
  void enter_background();
  std::optional<ProcessorTime> processor_time() const;
  Intake intake_since_asked();
  void judge_contention();
  void leave_processor(const std::stop_token& stop);
  bool take_pending();
  Clock::time_point due(Clock::time_point first_taken) const;
  void deliver(const std::stop_token& stop);
  void failed(const Error& error, std::string_view doing);
  void pause(milliseconds duration, const std::stop_token& stop);
  void pause_after_failure(const std::stop_token& stop);
  void refresh_lag();

  LaneOptions options;
  journal::Journal& journal;
  std::unique_ptr<Sink> sink;
  std::string consumer;  // the name of its cursor in the journal
  LaneMetrics metrics;
  RecordBatch batch;
  std::minstd_rand random;

  std::unique_ptr<journal::Reader> reader;  // null: where to begin is not known, or reading failed
  bool answered = false;                    // the sink has said where it is …
  bool located = false;                     // … and the journal knows that place
  std::uint64_t said = 1;                   // the sink's cursor in its own words
  std::uint64_t held = 1;                   // the journal's: it keeps everything from there on
  journal::Cursor taken;                    // after the last record in `batch`
  journal::Cursor durable;                  // after the last record in the sink
  journal::Batch* pending = nullptr;        // the reader's; from `pending_index` on not taken
  std::size_t pending_index = 0;
  std::int64_t durable_received_ns = 0;  // of the last delivered record
  std::int64_t started_ns = 0;
  unsigned failures = 0;

  GiveWay give_way;
  std::chrono::nanoseconds lag{};            // age of the oldest record that the sink does not have
  std::optional<ProcessorClock> clock;       // of the thread; none when not in background
  std::optional<ProcessorTime> batch_began;  // when the first record of `batch` was taken
  std::uint64_t asked_sequence = 0;          // the journal's end when the rule was last asked
  Clock::time_point last_delivery{};

  std::mutex end_mutex;  // of the next two
  std::condition_variable end_reached;
  bool ended = false;         // the thread needs nothing any more
  int background_thread = 0;  // its number, when it is in background

  std::mutex sleep_mutex;
  std::condition_variable_any sleeper;
  std::atomic<std::uint64_t> next_sequence{0};
  std::jthread thread;
};

/// Sets `durable` to where the sink says it is, or to the oldest record that is left.
Result<void> Lane::State::locate() {
  const Uuid id = journal.begin().journal;
  Result<journal::Cursor> cursor = sink->durable_cursor(id);
  if (!cursor) return std::unexpected(cursor.error());
  answered = true;
  said = cursor->next_sequence;
  durable = {id, said};
  // First held, then looked for: it must not be deleted in between.
  if (said < held) hold(durable);
  journal::Cursor begin = journal.begin();
  if (said < begin.next_sequence) durable = begin;
  taken = durable;
  return {};
}

void Lane::State::hold(const journal::Cursor& cursor) {
  journal.set_cursor(consumer, cursor);
  held = cursor.next_sequence;
}

void Lane::State::records_missing() {
  metrics.missing.add(durable.next_sequence - said);
  telemetry::log(
      LogLevel::warn, "pipeline",
      said == 1 ? "the sink has nothing of this journal, whose oldest records are gone"
                : "the sink lacks records that are gone from the journal",
      {{"sink", consumer}, {"missing_from", said}, {"missing_to", durable.next_sequence - 1}});
}

Result<void> Lane::State::open_reader() {
  if (!located) {
    if (auto done = locate(); !done) return done;
  }
  auto opened = journal.read(taken);
  if (!opened) {
    return fail(opened.error().code,
                fmt::format("cursor of sink {}: {}", consumer, opened.error().text));
  }
  reader = std::move(*opened);
  pending = nullptr;
  if (!located) {
    located = true;
    if (said < durable.next_sequence) records_missing();
    hold(durable);
    next_sequence.store(durable.next_sequence, std::memory_order_release);
    metrics.running.set(1);
  }
  return {};
}

void Lane::State::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "sink-lane");
  if (options.background) enter_background();
  while (!stop.stop_requested()) {
    refresh_lag();
    if (!reader) {
      if (auto opened = open_reader(); !opened) {
        failed(opened.error(), "asking the sink where it is");
        if (!located) sink->reset();
        pause_after_failure(stop);
        continue;
      }
    }
    bool readable = collect(stop);
    if (!batch.empty()) deliver(stop);
    if (!readable) pause_after_failure(stop);
    if (give_way.gives_way()) leave_processor(stop);
  }
  refresh_lag();
  end();
}

void Lane::State::end() {
  std::lock_guard lock(end_mutex);
  ended = true;
  end_reached.notify_all();
}

void Lane::State::stop() {
  thread.request_stop();
  std::unique_lock lock(end_mutex);
  if (!ended && background_thread != 0 && !leave_background(background_thread)) {
    telemetry::log(LogLevel::debug, "pipeline", "the sink's thread stays in background",
                   {{"sink", consumer}});
  }
  bool in_time = end_reached.wait_for(lock, options.stop_patience, [this] { return ended; });
  lock.unlock();
  if (!in_time) {
    telemetry::log(LogLevel::info, "pipeline", "the sink's delivery is given up for now",
                   {{"sink", consumer}});
    sink->give_up();
  }
  thread.join();
}

void Lane::State::enter_background() {
  if (!pipeline::enter_background()) {
    telemetry::log(LogLevel::info, "pipeline", "the sink's thread runs at normal priority",
                   {{"sink", consumer}});
  }
  {
    std::lock_guard lock(end_mutex);
    background_thread = ::gettid();
  }
  clock.emplace();
  if (!processor_time()) {
    telemetry::log(LogLevel::info, "pipeline",
                   "the sink does not pause for intake: the kernel tells nothing of waiting times",
                   {{"sink", consumer}});
  }
}

std::optional<ProcessorTime> Lane::State::processor_time() const {
  if (!clock) return std::nullopt;
  return options.processor_time ? options.processor_time() : clock->read();
}

Intake Lane::State::intake_since_asked() {
  refresh_lag();
  std::uint64_t end = journal.end().next_sequence;
  return {.appended = end - std::exchange(asked_sequence, end),
          .backlog = journal.backlog(durable.next_sequence),
          .lag = lag};
}

void Lane::State::judge_contention() {
  auto now = processor_time();
  if (!now || !batch_began) return;
  give_way.batch_done(*now - *batch_began, intake_since_asked());
  metrics.gives_way.set(give_way.gives_way() ? 1 : 0);
}

/// The pause before the next batch. Ends early on stop, and when its reason has gone.
void Lane::State::leave_processor(const std::stop_token& stop) {
  auto began = Clock::now();
  auto until = began + give_way.pause();
  for (auto now = began; now < until && !stop.stop_requested(); now = Clock::now()) {
    pause(std::min(rounded_up(until - now), give_way_look), stop);
    if (!give_way.goes_on(intake_since_asked())) break;
  }
  metrics.paused(Clock::now() - began);
  metrics.gives_way.set(give_way.gives_way() ? 1 : 0);
}

bool Lane::State::full() const noexcept {
  // Giving way, a batch is a look at the processor: the smaller the better.
  std::size_t most = give_way.gives_way()
                         ? std::min(options.batch_records, options.batch_records_max)
                         : options.batch_records_max;
  return batch.size() >= most || batch.bytes() >= options.batch_bytes_max;
}

/// Takes records out of what was read; true when all of it is taken.
bool Lane::State::take_pending() {
  std::vector<journal::Record>& records = pending->records;
  while (pending_index < records.size()) {
    const journal::Record& record = records[pending_index];
    if (full() && !batch.empty() && ends_between(batch.records().back(), &record)) return false;
    batch.add(record);
    taken.next_sequence = record.sequence + 1;
    ++pending_index;
  }
  pending = nullptr;
  return true;
}

Clock::time_point Lane::State::due(Clock::time_point first_taken) const {
  Clock::time_point latest = first_taken + options.batch_delay;
  if (batch.size() < options.batch_records) return latest;
  return std::min(latest, last_delivery + options.delivery_interval);
}

/// Fills the batch; returns when it is to be delivered, when nothing came for a while, or on stop.
/// It does not wake for every commit of the journal: after the first record it looks again only
/// when the batch may be due. False when the journal could not be read.
bool Lane::State::collect(const std::stop_token& stop) {
  Clock::time_point first_taken{};
  while (true) {
    if (pending == nullptr) {
      auto read = reader->next(batch.empty() ? idle_wait : milliseconds(0), stop);
      if (!read) {
        failed(read.error(), "reading the journal");
        reader.reset();
        return false;
      }
      if (!(*read)->records.empty()) {
        pending = *read;
        pending_index = 0;
      }
    }
    if (pending != nullptr) {
      if (batch.empty()) {
        first_taken = Clock::now();
        batch_began = processor_time();
      }
      if (!take_pending() || full()) return true;
      continue;
    }
    if (batch.empty() || stop.stop_requested()) return true;
    Clock::duration left = due(first_taken) - Clock::now();
    if (left <= Clock::duration::zero()) return true;
    milliseconds look_again = std::max(options.delivery_interval, milliseconds(1));
    pause(std::min(rounded_up(left), look_again), stop);
  }
}

void Lane::State::deliver(const std::stop_token& stop) {
  while (true) {
    refresh_lag();
    last_delivery = Clock::now();
    Result<void> done = sink->deliver(batch.records(), taken);
    if (done) break;
    failed(done.error(), "delivering");
    if (!may_repeat(stop)) return;
  }
  std::chrono::duration<double> elapsed = Clock::now() - last_delivery;
  hold(taken);
  durable = taken;
  said = taken.next_sequence;
  durable_received_ns = batch.records().back().attributes.received_ns;
  metrics.deliver_seconds.observe(elapsed.count());
  metrics.batch_records.observe(static_cast<double>(batch.size()));
  metrics.delivered.add(batch.size());
  metrics.running.set(1);
  if (failures > 0) {
    telemetry::log(LogLevel::info, "pipeline", "the sink takes records again",
                   {{"sink", consumer}, {"failed_attempts", std::uint64_t{failures}}});
    failures = 0;
  }
  batch.clear();
  judge_contention();
  // Last: who sees it may rely on the metrics.
  next_sequence.store(durable.next_sequence, std::memory_order_release);
}

/// After a failure: true when the sink answers and what was collected is still what follows. It is
/// not when the destination was replaced meanwhile, or had stored what it said it could not.
bool Lane::State::may_repeat(const std::stop_token& stop) {
  while (true) {
    sink->reset();
    if (!stop.stop_requested()) pause_after_failure(stop);
    if (stop.stop_requested()) return false;
    auto cursor = sink->durable_cursor(durable.journal);
    if (!cursor) {
      failed(cursor.error(), "asking the sink where it is");
      continue;
    }
    if (cursor->next_sequence == said) return true;
    telemetry::log(LogLevel::warn, "pipeline", "the sink is not where it was: was it replaced?",
                   {{"sink", consumer}, {"was_at", said}, {"is_at", cursor->next_sequence}});
    start_over();
    return false;
  }
}

/// What was collected is read again, from where the sink is now.
void Lane::State::start_over() {
  batch.clear();
  pending = nullptr;
  reader.reset();
  located = false;
  next_sequence.store(0, std::memory_order_release);
}

void Lane::State::failed(const Error& error, std::string_view doing) {
  ++failures;
  metrics.running.set(0);
  metrics.failed(error.code);
  telemetry::log(traits(error.code).retryable ? LogLevel::warn : LogLevel::error, "pipeline",
                 "a sink failed and is retried",
                 {{"sink", consumer},
                  {"doing", doing},
                  {"code", traits(error.code).label},
                  {"error", std::string_view(error.text)},
                  {"failed_attempts", std::uint64_t{failures}}});
}

void Lane::State::pause(milliseconds duration, const std::stop_token& stop) {
  std::unique_lock lock(sleep_mutex);
  sleeper.wait_for(lock, stop, duration, [] { return false; });
}

void Lane::State::pause_after_failure(const std::stop_token& stop) {
  double chance = std::uniform_real_distribution<double>(0.0, 1.0)(random);
  milliseconds left = resilience::backoff(options.backoff, failures, chance);
  while (left > milliseconds(0) && !stop.stop_requested()) {
    refresh_lag();
    milliseconds slice = std::min(left, idle_wait);
    pause(slice, stop);
    left -= slice;
  }
}

void Lane::State::refresh_lag() {
  std::uint64_t end = journal.end().next_sequence;
  std::uint64_t from = located ? durable.next_sequence : journal.begin().next_sequence;
  metrics.lag_records.set(end > from ? static_cast<double>(end - from) : 0.0);
  lag = {};
  if (end <= from) {
    metrics.lag_seconds.set(0);
    return;
  }
  // The age of the oldest undelivered record, or the best that is known of it.
  std::int64_t since = !batch.empty() ? batch.records().front().attributes.received_ns
                                      : std::max(durable_received_ns, started_ns);
  lag = std::chrono::nanoseconds(std::max<std::int64_t>(0, options.unix_now_ns() - since));
  metrics.lag_seconds.set(std::chrono::duration<double>(lag).count());
}

Lane::Lane(LaneOptions options, journal::Journal& journal, std::unique_ptr<Sink> sink,
           telemetry::Registry& metrics)
    : state_(std::make_unique<State>(std::move(options), journal, std::move(sink), metrics)) {}

Lane::~Lane() {
  stop();
}

Result<void> Lane::start() {
  State& state = *state_;
  state.started_ns = state.options.unix_now_ns();
  // Before the sink is asked: nothing may be deleted until it has said that it has it.
  state.hold(state.journal.begin());
  if (auto opened = state.open_reader(); !opened) {
    if (state.answered) return opened;
    state.failed(opened.error(), "asking the sink where it is");
    state.sink->reset();
  }
  state.refresh_lag();
  state.asked_sequence = state.journal.end().next_sequence;
  state.thread = std::jthread([&state](const std::stop_token& stop) { state.run(stop); });
  return {};
}

void Lane::stop() {
  if (!state_->thread.joinable()) return;
  state_->stop();
}

std::uint64_t Lane::next_sequence() const noexcept {
  return state_->next_sequence.load(std::memory_order_acquire);
}

}  // namespace trialwire::pipeline
