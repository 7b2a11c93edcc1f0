// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_keeper.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <chrono>

#include "journal/short_turns.hpp"
#include "journal/zero_fill.hpp"
#include "telemetry/log.hpp"

namespace trialwire::journal {
namespace {

using telemetry::LogLevel;

// Retention is a matter of hours: looking at it this often is enough.
constexpr std::chrono::seconds idle_round{5};
constexpr std::chrono::minutes early_deletion_pause{1};

// Smaller segments are written at once.
constexpr std::uint64_t paced_from_bytes = 16 << 20;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

SegmentKeeper::SegmentKeeper(KeeperOptions options, FileLayer& files, SegmentLedger& ledger,
                             SigningKey signing, std::vector<std::uint64_t> spares,
                             std::uint64_t highest_segment, telemetry::Registry& metrics)
    : options_(std::move(options)),
      files_(files),
      ledger_(ledger),
      signing_(std::move(signing)),
      prepared_(metrics.counter("trialwire_journal_segments_prepared_total",
                                "Segments written with zeros before their use.")),
      prepare_failures_(metrics.counter("trialwire_journal_prepare_failures_total",
                                        "Attempts to pre-write a segment that failed.")),
      deleted_(metrics.counter("trialwire_journal_segments_deleted_total",
                               "Segments deleted by retention, disk budget or a full disk.")),
      spare_numbers_(spares.begin(), spares.end()),
      highest_segment_(highest_segment),
      spare_count_(spares.size()) {}

void SegmentKeeper::start(StoreEvents events) {
  events_ = std::move(events);
  started_ = true;
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void SegmentKeeper::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
  started_ = false;
}

void SegmentKeeper::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_all();
}

void SegmentKeeper::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "journal-keeper");
  // A segment is 128 writes. If each of them went on only when a busy thread's turn on the same
  // core was over, a segment would be used up sooner than the next one is there.
  ask_for_short_turns();
  keep_room_for_retired(files_, options_.directory);
  while (!stop.stop_requested()) {
    // Spares before all else: the committer waits for them.
    prepare(stop);
    seal_full();
    delete_by_policy();
    std::unique_lock lock(mutex_);
    const std::chrono::milliseconds pause = blocked() ? options_.spare_retry : idle_round;
    changed_.wait_for(lock, stop, pause, [this] { return woken_; });
    woken_ = false;
  }
  drop_spare();
  seal_full();
  release_room_for_retired(files_, options_.directory);
}

void SegmentKeeper::maintain() {
  seal_full();
  delete_by_policy();
  prepare({});
}

Result<std::uint64_t> SegmentKeeper::take_spare() {
  if (!started()) maintain();
  std::unique_lock lock(mutex_);
  if (spare_numbers_.empty() && started()) {
    woken_ = true;
    awaited_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, options_.spare_wait,
                      [this] { return !spare_numbers_.empty() || error_; });
    awaited_ = false;
  }
  if (spare_numbers_.empty()) {
    if (error_) return std::unexpected(*error_);
    return fail(ErrorCode::unavailable, "the next journal segment is still being written");
  }
  const std::uint64_t number = spare_numbers_.front();
  spare_numbers_.pop_front();
  spare_count_.store(spare_numbers_.size(), std::memory_order_relaxed);
  woken_ = true;
  changed_.notify_all();
  return number;
}

bool SegmentKeeper::spare_wanted() const {
  return spares() == 0;
}

bool SegmentKeeper::over_budget() const {
  const std::uint64_t wanted = ledger_.segments_present() + std::max<std::uint64_t>(1, spares());
  return wanted * options_.segment_bytes > options_.bytes_max;
}

/// How much of the spare is to be written by now: whole stretches, or all of it. Nothing for the
/// first quarter of the current segment, then twice what is used, so that it is there at three.
std::uint64_t SegmentKeeper::due_bytes() {
  const std::uint64_t whole = options_.segment_bytes;
  if (whole < paced_from_bytes || !started() || !ledger_.has_writing()) return whole;
  {
    const std::lock_guard lock(mutex_);
    if (awaited_) return whole;
  }
  const std::uint64_t used = ledger_.writing_offset(), quiet = whole / 4;
  if (used < quiet) return 0;
  const std::uint64_t due = 2 * (used - quiet);
  return due >= whole ? whole : due / zero_stretch_bytes * zero_stretch_bytes;
}

void SegmentKeeper::prepare(const std::stop_token& stop) {
  while (spare_wanted() && due_bytes() > 0 && !stop.stop_requested()) {
    Result<void> begun = filling_ ? Result<void>() : begin_spare();
    const Result<bool> whole = begun ? write_spare(stop) : std::unexpected(begun.error());
    if (whole && !*whole) return;
    Result<void> done = whole ? finish_spare() : std::unexpected(whole.error());
    if (!done) {
      const std::uint64_t filled = filling_ ? filling_->filled : 0;
      drop_spare();
      if (done.error().code == ErrorCode::disk_full && make_room(filled)) continue;
      if (done.error().code != ErrorCode::cancelled) spare_failed(done.error());
      return;
    }
    prepared_.add();
  }
}

std::filesystem::path SegmentKeeper::spare_path() const {
  return (options_.directory / segment_name(filling_->number)).native() + ".tmp";
}

Result<void> SegmentKeeper::begin_spare() {
  if (over_budget()) delete_by_policy();
  if (over_budget()) {
    return fail(ErrorCode::disk_full,
                "the journal's disk budget is used up by undelivered records");
  }
  {
    const std::lock_guard lock(mutex_);
    filling_.emplace(highest_segment_ + 1);
  }
  static_cast<void>(files_.remove(spare_path()));
  auto file = files_.open(spare_path(), OpenMode::create_new, options_.direct);
  if (!file) return std::unexpected(file.error());
  filling_->file = std::move(*file);
  return {};
}

/// As much as is due; true when that was the rest.
Result<bool> SegmentKeeper::write_spare(const std::stop_token& stop) {
  Filling& spare = *filling_;
  for (std::uint64_t due = due_bytes(); spare.filled < due; due = due_bytes()) {
    const std::uint64_t to = std::min(due, spare.filled + zero_stretch_bytes);
    if (auto done = zero_fill(*spare.file, spare.filled, to, stop); !done) {
      return std::unexpected(done.error());
    }
    spare.filled = to;
  }
  return spare.filled == options_.segment_bytes;
}

Result<void> SegmentKeeper::finish_spare() {
  if (auto done = filling_->file->sync(); !done) return done;
  filling_->file.reset();
  const std::uint64_t number = filling_->number;
  const auto final_name = options_.directory / segment_name(number);
  if (auto done = files_.rename(spare_path(), final_name); !done) return done;
  filling_.reset();
  if (auto done = files_.sync_directory(options_.directory); !done) return done;
  {
    const std::lock_guard lock(mutex_);
    highest_segment_ = number;
    spare_numbers_.push_back(number);
    spare_count_.store(spare_numbers_.size(), std::memory_order_relaxed);
    error_.reset();
    blocked_.store(false, std::memory_order_relaxed);
  }
  changed_.notify_all();
  filled_before_ = 0;
  again_early_ = {};
  keep_room_for_retired(files_, options_.directory);
  return {};
}

/// On a full disk: a segment that everybody has goes whatever its age, as it does over the budget.
/// Only what is undelivered may cause refusals. False: there is none, or it cannot be deleted.
bool SegmentKeeper::make_room(std::uint64_t filled) {
  const auto now = std::chrono::steady_clock::now();
  if (filled <= filled_before_ && now < again_early_) return false;
  const auto segment = ledger_.deletable({.older_than_ns = 0, .over_budget = true});
  if (!segment || !delete_oldest(*segment)) return false;
  filled_before_ = filled;
  again_early_ = now + early_deletion_pause;
  telemetry::log(LogLevel::warn, "journal", "the disk is full: a delivered segment went early",
                 {{"segment", segment->number}});
  return true;
}

/// Half a segment must not hold on to the space that others are short of.
void SegmentKeeper::drop_spare() noexcept {
  if (!filling_) return;
  filling_->file.reset();
  static_cast<void>(files_.remove(spare_path()));
  filling_.reset();
}

void SegmentKeeper::spare_failed(const Error& error) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    first = !error_;
    error_ = error;
    blocked_.store(true, std::memory_order_relaxed);
  }
  changed_.notify_all();
  prepare_failures_.add();
  if (!first) return;
  telemetry::log(LogLevel::warn, "journal", "cannot prepare a segment, trying again",
                 {{"error", std::string_view(error.text)}});
}

void SegmentKeeper::seal_full() {
  while (const auto segment = ledger_.next_to_seal()) {
    const Seal seal{options_.journal, *segment, now_ns()};
    const auto written = write_seal(files_, options_.directory, seal, signing_);
    if (!written) {
      telemetry::log(
          LogLevel::warn, "journal", "cannot write a seal, trying again",
          {{"segment", segment->number}, {"error", std::string_view(written.error().text)}});
      return;
    }
    ledger_.mark_sealed(segment->number);
    const std::string head = to_hex(segment->chain_head);
    telemetry::log(LogLevel::info, "journal", "segment sealed",
                   {{"segment", segment->number},
                    {"first_sequence", segment->first_sequence},
                    {"next_sequence", segment->next_sequence},
                    {"chain_head", std::string_view(head)},
                    {"signature", std::string_view(*written)}});
    if (events_.sealed) events_.sealed(*segment);
  }
}

void SegmentKeeper::delete_by_policy() {
  const std::int64_t older_than = now_ns() - options_.retention.count();
  while (const auto segment = ledger_.deletable({older_than, over_budget()})) {
    if (!delete_oldest(*segment)) return;
  }
}

bool SegmentKeeper::delete_oldest(const SealedSegment& segment) {
  // Durable before the file goes: a segment that is missing without this line was taken away.
  const Retired retired{segment.number, segment.next_sequence, segment.chain_head};
  Result<void> done = write_retired(files_, options_.directory, retired);
  if (done) {
    ledger_.remove_oldest(segment.number);
    if (events_.deleted) events_.deleted(segment);
    done = files_.remove(options_.directory / segment_name(segment.number));
  }
  if (done) done = files_.sync_directory(options_.directory);
  if (!done) {
    if (!std::exchange(deletion_fails_, true)) {
      telemetry::log(LogLevel::warn, "journal", "cannot delete a segment, trying again",
                     {{"segment", segment.number}, {"error", std::string_view(done.error().text)}});
    }
    return false;
  }
  deletion_fails_ = false;
  deleted_.add();
  telemetry::log(LogLevel::info, "journal", "segment deleted",
                 {{"segment", segment.number}, {"next_sequence", segment.next_sequence}});
  return true;
}

}  // namespace trialwire::journal
