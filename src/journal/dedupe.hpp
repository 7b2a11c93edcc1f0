// SPDX-License-Identifier: Apache-2.0
// Which records are retries. The identity of a record is SipHash-1-3-128 with the journal's key
// (Appender::identity_key) over, each as a length-prefixed field: principal, kind, study, and the
// sender's own id of it. Without an id: subject or device, timestamp and content. The sender's side
// of the journal computes it; here it is a uniform 128-bit number. `content_hash` is SipHash of the
// bytes: it tells a retry from a conflict. A zero identity is never a duplicate.
//
// Found again are the identities of the last `window` (by the records' times of receipt), of which
// memory indexes the newest `capacity`: 17.9 million in 64 MiB. None of these is forgotten, neither
// by crowding nor by a restart. Looked up in this order:
//
//   tag table      one cache line: not in it is certainly new; else it says of which era
//   hot table      the batch being built and the newest identities, exact, in memory
//   run files      the rest, on disk; those of that era, newest first, a read of 4 KiB each
//
// Used by the committer's thread, which joins new identities before their batch is durable and
// calls `durable` after it is: only then may they reach a run file. Crash: the run files plus the
// journal's records after the last run are all that is needed; `open` reads both. Warm, nothing
// here allocates per record.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>

#include "base/error.hpp"
#include "journal/dedupe_hot.hpp"
#include "journal/dedupe_keeper.hpp"
#include "journal/dedupe_tags.hpp"
#include "journal/record.hpp"

namespace trialwire::journal {

struct DedupeOptions {
  std::filesystem::path directory;
  Uuid journal;
  std::size_t bytes = 64 << 20;                              // memory of all tables
  std::chrono::nanoseconds window = std::chrono::hours(24);  // 0: off
  std::size_t generation = 0;                                // identities a run; 0: by memory
  /// A generation is written out when its records take so much of the journal, too: until then it
  /// holds their segments back. 0: no limit.
  std::uint64_t held_bytes_max = 0;
  std::size_t fan_in = 16;
  std::chrono::milliseconds retry{1000};
};

/// Where the journal stands when its index is opened.
struct JournalExtent {
  std::uint64_t first_sequence = 1;  // oldest record still there
  std::uint64_t next_sequence = 1;   // after the newest durable one
};

class DedupeIndex {
 public:
  using Take = std::function<void(const Record&)>;
  /// Calls `Take` for every record of a range that the journal still holds, in order.
  using Replay = std::function<Result<void>(SequenceRange range, const Take& take)>;

  /// Loads the runs, makes up for missing or damaged ones from the journal, and takes in what is
  /// newer than the last run. Identities that neither has are logged as lost, by their range.
  static Result<std::unique_ptr<DedupeIndex>> open(const DedupeOptions& options, FileLayer& files,
                                                   telemetry::Registry& metrics,
                                                   JournalExtent extent, const Replay& replay);
  ~DedupeIndex();

  void start();
  void stop();

  /// Before each batch. Errors: disk_full, or what else keeps the identities from being written
  /// out; then nothing may be joined. Waits for the background thread when it is far behind.
  Result<void> begin_batch();

  void prefetch(const Hash128& identity) const noexcept {
    tags_.prefetch(identity);
    active_->prefetch(identity);
  }

  enum class Verdict : std::uint8_t { fresh, duplicate, conflict };
  struct Answer {
    Verdict verdict = Verdict::fresh;
    DedupeEntry known;  // unless fresh
  };
  /// Looks the candidate up, and joins it when it is fresh.
  /// Errors: io, corrupt (a run could not be read): nothing is known of it and nothing joined.
  Result<Answer> admit(const DedupeEntry& candidate);

  /// To take back what was joined since: the group conflicts, or its batch never came to be.
  std::size_t mark() const noexcept { return active_->size(); }
  void undo_to(std::size_t mark) noexcept { active_->undo_to(mark); }

  /// All that was joined so far is durable, in so many bytes more of the journal, which goes on at
  /// `next_sequence`.
  void durable(std::uint64_t next_sequence, std::uint64_t bytes = 0);

  bool enabled() const noexcept { return window_ms_ > 0; }
  /// Identities of sequences from here on are in memory alone: their segments must stay. Any
  /// thread.
  std::uint64_t needed_from() const noexcept { return keeper_.written_below(); }
  /// Before `start`: called on the background thread when `needed_from` has moved.
  void on_written(std::function<void()> told) { keeper_.on_written(std::move(told)); }

  /// So many of the newest identities are found again, within the window; older ones perhaps.
  std::uint64_t capacity() const noexcept { return tags_.capacity(); }
  /// For tests: waits until the background has nothing to do.
  void wait_idle() { keeper_.wait_idle(); }

 private:
  struct Sizes {
    std::size_t generation = 0;
    std::size_t tag_bytes = 0;
  };
  static Sizes sizes_for(const DedupeOptions& options);
  DedupeIndex(const DedupeOptions& options, Sizes sizes, FileLayer& files,
              telemetry::Registry& metrics);

  /// In the eras of these bits.
  Result<const DedupeEntry*> find(const Hash128& identity, std::uint64_t eras);
  /// So many entries more belong to a run: does the era end with them, and which are out of reach?
  void count_run(std::uint64_t entries);
  /// `tagged`: the tag table says "perhaps" of it and the current era already.
  void join(const DedupeEntry& entry, bool tagged);
  void refresh();
  bool holds_enough() const noexcept;

  // Loading; dedupe_load.cpp.
  Result<void> load(JournalExtent extent, const Replay& replay);
  Result<std::vector<RunReader>> open_runs(std::uint64_t next_sequence);
  Result<bool> load_run(RunReader& reader);
  Result<void> spill_now(SequenceRange range);
  Result<void> rebuild(SequenceRange range, JournalExtent extent, const Replay& replay);

  const DedupeOptions options_;
  const std::size_t generation_;
  const std::int64_t window_ms_;
  FileLayer& files_;
  TagTable tags_;
  std::unique_ptr<HotTable> active_;
  std::unique_ptr<HotTable> sealed_;  // being written out while `spilling_`
  bool spilling_ = false;
  std::uint64_t active_first_ = 1;  // sequence that the active generation begins with
  std::uint64_t era_ = 0;           // of the active generation
  std::uint64_t sealed_era_ = 0;
  std::array<std::uint64_t, TagTable::eras> era_entries_{};  // in runs, the current era's first
  std::uint64_t eras_asked_ = (1ULL << TagTable::eras) - 1;  // bits as of TagTable::find
  std::uint64_t held_bytes_ = 0;  // of the journal, by the active generation
  DedupeEntry found_;
  std::shared_ptr<const RunSet> runs_;
  std::uint64_t version_ = 0;
  telemetry::Counter& disk_lookups_;
  telemetry::Counter& lost_;
  telemetry::Gauge& indexed_;
  telemetry::Gauge& capacity_;
  std::uint64_t joined_ = 0;
  RunKeeper keeper_;  // last: its thread reads what is above
};

}  // namespace trialwire::journal
