// SPDX-License-Identifier: Apache-2.0
#include "archive/archiver.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>

#include "archive/expiry.hpp"
#include "archive/segment_archiver.hpp"
#include "base/unix_time.hpp"
#include "pipeline/background.hpp"
#include "pipeline/processor_time.hpp"
#include "telemetry/log.hpp"

namespace trialwire::archive {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using telemetry::LogLevel;

constexpr std::string_view consumer = "archive";
constexpr std::uint64_t judged_bytes = 4 << 20;  // of work, then contention is looked for

pipeline::GiveWayOptions give_way_options(const ArchiverOptions& options) {
  return {.backlog_bytes_max = options.backlog_bytes_max,
          .lag_max = std::chrono::hours(24 * 365)};  // nobody waits for an archived segment
}

}  // namespace

ArchiverSource source_of(journal::Journal& journal, const std::filesystem::path& directory) {
  const Uuid id = journal.begin().journal;
  return {.journal = id,
          .directory = directory,
          .direct = journal.status().direct_io,
          .sealed = [&journal] { return journal.sealed_segments(); },
          .next_sequence = [&journal] { return journal.end().next_sequence; },
          .backlog = [&journal](std::uint64_t from) { return journal.backlog(from); },
          .set_cursor = [&journal,
                         id](std::uint64_t next) { journal.set_cursor(consumer, {id, next}); }};
}

struct Archiver::State {
  State(ArchiverOptions from, ArchiverSource journal_side, storage::ObjectStore& store,
        journal::FileLayer& files, telemetry::Registry& metrics)
      : options(std::move(from)),
        source(std::move(journal_side)),
        archive(store, source.journal),
        segments({.journal_directory = source.directory,
                  .direct = source.direct,
                  .level = options.level,
                  .unix_now_ns = options.unix_now_ns,
                  .paced = [this](std::uint64_t bytes) { return pace(bytes); }},
                 archive, files),
        give_way(give_way_options(options)),
        random(std::random_device{}()),
        archived(metrics.counter("trialwire_archive_segments_total", "Segments archived.")),
        raw(metrics.counter("trialwire_archive_raw_bytes_total", "Bytes of archived segments.")),
        stored(metrics.counter("trialwire_archive_stored_bytes_total",
                               "Bytes of archived segments, compressed.")),
        expired(metrics.counter("trialwire_archive_expired_segments_total",
                                "Segments removed: older than archive.keep.")),
        failures(metrics.counter("trialwire_archive_failures_total",
                                 "Attempts to archive that failed and are repeated.")),
        running(metrics.gauge("trialwire_archive_running", "1 unless the last attempt failed.")),
        lag_segments(
            metrics.gauge("trialwire_archive_lag_segments", "Segments sealed and not archived.")),
        lag_bytes(metrics.gauge("trialwire_archive_lag_bytes",
                                "Bytes of the journal that are not archived, unsealed included.")) {
    if (!options.unix_now_ns) options.unix_now_ns = system_unix_ns;
    source.set_cursor(0);
  }

  void run(const std::stop_token& stopping);
  void enter_background();
  void leave_background();
  Result<void> round();
  Result<void> take(const std::vector<journal::SealedSegment>& sealed);
  Result<void> look_for_expired(const std::vector<journal::SealedSegment>& sealed);
  Result<void> pace(std::uint64_t bytes);
  bool pressed() const {
    const journal::Backlog backlog = source.backlog(cursor);
    return backlog.blocked || backlog.bytes > options.backlog_bytes_max;
  }
  bool pause(Clock::duration duration);
  void note(std::uint64_t waiting, const Result<void>* outcome);

  ArchiverOptions options;
  ArchiverSource source;
  Archive archive;
  SegmentArchiver segments;
  pipeline::GiveWay give_way;
  std::minstd_rand random;
  telemetry::Counter& archived;
  telemetry::Counter& raw;
  telemetry::Counter& stored;
  telemetry::Counter& expired;
  telemetry::Counter& failures;
  telemetry::Gauge& running;
  telemetry::Gauge& lag_segments;
  telemetry::Gauge& lag_bytes;

  std::uint64_t cursor = 0;            // everything before it is archived
  std::uint64_t archived_through = 0;  // the segment before it
  unsigned failed_attempts = 0;
  Clock::time_point free_at{};  // pace: the next work may begin
  std::optional<Clock::time_point> looked_for_expired;
  std::optional<pipeline::ProcessorClock> clock;  // of the thread, when in background
  std::optional<pipeline::ProcessorTime> judged_from;
  std::uint64_t judged = 0;          // bytes since then
  std::uint64_t asked_sequence = 0;  // the journal's end when contention was last looked for

  mutable std::mutex mutex;  // of the next one
  ArchiverState shown;
  std::mutex thread_mutex;    // of the next one
  int background_thread = 0;  // its number, while it is in background and has not ended

  std::mutex sleep_mutex;
  std::condition_variable_any sleeper;
  std::stop_token stop;
  std::jthread thread;
};

/// False when a stop was requested.
bool Archiver::State::pause(Clock::duration duration) {
  std::unique_lock lock(sleep_mutex);
  sleeper.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

/// After so many more bytes of work: waits as the rate says, and for intake.
Result<void> Archiver::State::pace(std::uint64_t bytes) {
  const auto stopped = fail(ErrorCode::cancelled, "stopping");
  if (stop.stop_requested()) return stopped;
  if (pressed()) {
    free_at = {};
    return {};
  }
  if (options.bytes_per_second > 0) {
    const std::chrono::duration<double> time(static_cast<double>(bytes) /
                                             static_cast<double>(options.bytes_per_second));
    const auto now = Clock::now();
    free_at = std::max(free_at, now) + std::chrono::duration_cast<Clock::duration>(time);
    if (free_at > now && !pause(free_at - now)) return stopped;
  }
  judged += bytes;
  if (!clock || judged < judged_bytes) return {};
  judged = 0;
  const auto spent = clock->read();
  if (spent && judged_from) {
    const std::uint64_t end = source.next_sequence();
    give_way.batch_done(*spent - *judged_from,
                        {.appended = end - std::exchange(asked_sequence, end),
                         .backlog = source.backlog(cursor),
                         .lag = {}});
    if (give_way.gives_way() && !pause(give_way.pause())) return stopped;
  }
  judged_from = clock->read();
  return {};
}

void Archiver::State::note(std::uint64_t waiting, const Result<void>* outcome) {
  lag_segments.set(static_cast<double>(waiting));
  lag_bytes.set(static_cast<double>(source.backlog(cursor).bytes));
  const std::lock_guard lock(mutex);
  shown.segments_waiting = waiting;
  shown.next_sequence = cursor;
  if (outcome != nullptr) shown.error = *outcome ? std::string() : outcome->error().text;
}

Result<void> Archiver::State::take(const std::vector<journal::SealedSegment>& sealed) {
  std::uint64_t waiting = 0;
  for (const auto& segment : sealed) waiting += segment.number > archived_through ? 1 : 0;
  note(waiting, nullptr);
  for (const journal::SealedSegment& segment : sealed) {
    if (segment.number <= archived_through) continue;
    const auto done = segments.archive(segment);
    if (!done) return std::unexpected(done.error());
    if (!done->already) {
      archived.add();
      raw.add(done->raw_bytes);
      stored.add(done->stored_bytes);
      telemetry::log(LogLevel::info, "archive", "segment archived",
                     {{"segment", segment.number},
                      {"first_sequence", segment.first_sequence},
                      {"next_sequence", segment.next_sequence},
                      {"bytes", done->raw_bytes},
                      {"stored_bytes", done->stored_bytes}});
    }
    archived_through = segment.number;
    cursor = segment.next_sequence;
    source.set_cursor(cursor);
    note(--waiting, nullptr);
  }
  return {};
}

Result<void> Archiver::State::look_for_expired(const std::vector<journal::SealedSegment>& sealed) {
  const auto now = Clock::now();
  if (options.keep.count() == 0) return {};
  if (looked_for_expired && now - *looked_for_expired < options.expiry_interval) return {};
  const auto removed =
      expire(archive, {.keep = options.keep,
                       .now_ns = options.unix_now_ns(),
                       .segments_before = sealed.empty() ? 0 : sealed.front().number});
  if (!removed) return std::unexpected(removed.error());
  looked_for_expired = now;
  expired.add(*removed);
  return {};
}

Result<void> Archiver::State::round() {
  const auto sealed = source.sealed();
  Result<void> done = take(sealed);
  if (done) done = look_for_expired(sealed);
  running.set(done ? 1 : 0);
  note(shown.segments_waiting, &done);
  return done;
}

void Archiver::State::run(const std::stop_token& stopping) {
  pthread_setname_np(pthread_self(), "archive");
  stop = stopping;
  if (options.background) enter_background();
  while (!stop.stop_requested()) {
    const auto done = round();
    if (done || done.error().code == ErrorCode::cancelled) {
      if (failed_attempts > 0 && done) {
        telemetry::log(LogLevel::info, "archive", "the archive takes segments again",
                       {{"failed_attempts", std::uint64_t{failed_attempts}}});
        failed_attempts = 0;
      }
      pause(options.look_interval);
      continue;
    }
    ++failed_attempts;
    failures.add();
    telemetry::log(traits(done.error().code).retryable ? LogLevel::warn : LogLevel::error,
                   "archive", "cannot archive, trying again",
                   {{"code", traits(done.error().code).label},
                    {"error", std::string_view(done.error().text)},
                    {"failed_attempts", std::uint64_t{failed_attempts}}});
    const double chance = std::uniform_real_distribution<double>(0.0, 1.0)(random);
    pause(resilience::backoff(options.backoff, failed_attempts, chance));
  }
  const std::lock_guard lock(thread_mutex);
  background_thread = 0;
}

void Archiver::State::enter_background() {
  if (!pipeline::enter_background()) {
    telemetry::log(LogLevel::info, "archive", "the archiver runs at normal priority");
  }
  clock.emplace();
  judged_from = clock->read();
  const std::lock_guard lock(thread_mutex);
  background_thread = ::gettid();
}

/// On a busy machine the lowest priority may not get to its end for long.
void Archiver::State::leave_background() {
  const std::lock_guard lock(thread_mutex);
  if (background_thread != 0) pipeline::leave_background(background_thread);
}

Archiver::Archiver(ArchiverOptions options, ArchiverSource source, storage::ObjectStore& store,
                   journal::FileLayer& files, telemetry::Registry& metrics)
    : state_(
          std::make_unique<State>(std::move(options), std::move(source), store, files, metrics)) {}

Archiver::~Archiver() {
  stop();
}

void Archiver::start() {
  state_->thread =
      std::jthread([state = state_.get()](const std::stop_token& stop) { state->run(stop); });
}

void Archiver::stop() {
  if (!state_->thread.joinable()) return;
  state_->thread.request_stop();
  state_->leave_background();
  state_->thread.join();
}

Result<void> Archiver::round() {
  return state_->round();
}

ArchiverState Archiver::state() const {
  const std::lock_guard lock(state_->mutex);
  return state_->shown;
}

}  // namespace trialwire::archive
