// SPDX-License-Identifier: Apache-2.0
// The journal's files while it runs: appends finished batches to the current segment, rolls to a
// segment that was written with zeros beforehand, seals and signs what is full, deletes by policy.
// Owns the directory's lock, the chain (sequence, epoch, hash of the last header) and one
// background thread. Recovery happens in `open`, by the table in recovery.hpp.
//
// Threads: `append` and `chain` belong to the committer; everything else may be called from any.
// Durable when: `append` returned a value (with `sync` set). Its errors:
//   disk_full, unavailable   nothing was written, the chain is unchanged: refuse this batch's
//                            groups, try the next one; space that returns heals it
//   io                       final: a write or sync failed, every later append fails likewise
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "base/error.hpp"
#include "journal/file_layer.hpp"
#include "journal/format.hpp"
#include "journal/journal.hpp"

namespace trialwire::journal {

class SegmentReader;

/// The consumer that is the journal itself: what it lacks is not undelivered.
constexpr std::string_view index_consumer = "identity index";

struct StoreOptions {
  std::filesystem::path directory;
  IoMode io = IoMode::automatic;
  bool sync = true;                       // false: journal.sync none
  std::size_t segment_bytes = 128 << 20;  // of a new journal; an old one keeps its own
  std::uint64_t bytes_max = 16ULL << 30;
  UndeliveredLimits undelivered;
  std::chrono::nanoseconds retention = std::chrono::hours(24);
  std::size_t batch_extent_max = 64 << 20;       // largest batch recovery takes for a torn one
  AskConsumers consumers;                        // none: everything is verified at start
  unsigned recovery_threads = 0;                 // 0: by the processors; 1: on the caller's thread
  std::size_t scrub_bytes_per_second = 8 << 20;  // 0: off
  std::chrono::seconds scrub_pause{3600};        // between two passes
  std::chrono::milliseconds spare_retry{250};    // after a failed pre-write
  std::chrono::milliseconds spare_wait{2000};    // append waits so long for a pre-write under way
  std::filesystem::path identity_key_file;       // whose key a new journal takes; empty: makes one
};

/// Told on the store's background thread. Set before `start`.
struct StoreEvents {
  std::function<void(const SealedSegment&)> sealed;
  /// After the decision is durable, before the file goes.
  std::function<void(const SealedSegment&)> deleted;
  /// The scrubber found damage; file and offset are named.
  std::function<void(const Error&)> corrupt;
};

/// What the next batch will carry. Committer only.
struct Chain {
  Uuid journal;
  std::uint32_t epoch = 0;
  std::uint64_t next_sequence = 1;
  Sha256 previous{};
};

struct Appended {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t bytes = 0;  // written, padding included
};

/// The end of what is durable: nothing at or after it may be read.
struct Tail {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t next_sequence = 1;
};

class SegmentStore {
 public:
  virtual ~SegmentStore() = default;

  /// Locks and recovers the directory, creating it when there is none. Touches nothing when it
  /// refuses. The first segment is pre-written by `start` or by the first append.
  static Result<std::unique_ptr<SegmentStore>> open(const StoreOptions& options, FileLayer& files,
                                                    telemetry::Registry& metrics);

  /// Starts pre-writing, sealing, deletion and scrubbing. Before it they happen within `append` and
  /// `maintain`, which is what tests without threads use.
  virtual void start(StoreEvents events) = 0;
  /// Finishes the seal under way and joins. Idempotent.
  virtual void stop() = 0;
  /// One round of background work on the caller's thread; only while not started.
  virtual void maintain() = 0;

  // Committer:
  virtual const Chain& chain() const noexcept = 0;
  /// Completes the batch's header, writes and syncs it, publishes the new tail. `now_ns` is stored
  /// as the batch's time, which retention goes by.
  virtual Result<Appended> append(BatchBuffer& batch, std::int64_t now_ns) = 0;

  // Any thread:
  /// Is there room for so many more bytes, or a segment on its way? False: disk full, budget, or
  /// too much undelivered.
  virtual bool has_room(std::uint64_t bytes) const noexcept = 0;
  /// As the journal was made, whatever the options say now.
  virtual std::uint64_t segment_bytes() const noexcept = 0;
  virtual Tail tail() const = 0;
  virtual std::uint64_t first_sequence() const = 0;  // of the oldest record still here
  /// For key of identities: 16 random bytes kept in the directory.
  virtual SipKey identity_key() const noexcept = 0;
  virtual Backlog backlog(std::uint64_t next_sequence) const = 0;
  virtual Status status() const = 0;
  virtual const std::filesystem::path& directory() const noexcept = 0;
  /// What is sealed and present, oldest first.
  virtual std::vector<SealedSegment> sealed_segments() const = 0;

  /// Nothing is deleted before the first cursor is known. Cursors only hold back, they never fail.
  virtual void set_cursor(std::string_view consumer, std::uint64_t next_sequence) = 0;

  /// Is the cursor of this journal and not beyond its tail? Error (corrupt) names both sides;
  /// not_found when what it points at was deleted.
  virtual Result<void> check_cursor(const Cursor& cursor) const = 0;

  /// Where the journal goes on when `sequence` is one that a repair declared lost; else `sequence`.
  virtual std::uint64_t behind_gap(std::uint64_t sequence) const { return sequence; }

  /// Reads from `next_sequence` on, in order, up to the tail of the moment of each call. The store
  /// must outlive it. Errors as `check_cursor`.
  virtual Result<std::unique_ptr<SegmentReader>> read(std::uint64_t next_sequence) = 0;
};

/// The records of one batch on disk. Views are valid until the reader's next call.
struct BatchView {
  BatchHead head;
  ByteView payload;
  std::uint64_t from_sequence = 0;  // earlier records of the batch are not wanted
};

/// One consumer's sequential reading of the segments, on one thread at a time. Memory: one batch
/// and a read-ahead of 256 KiB. Every batch is verified before it is handed out.
class SegmentReader {
 public:
  virtual ~SegmentReader() = default;
  /// The next batch with records, or null at the durable tail. Errors: corrupt, io, not_found
  /// (deleted meanwhile); file and offset are named.
  virtual Result<const BatchView*> next() = 0;
  virtual std::uint64_t next_sequence() const noexcept = 0;
};

/// Decodes the records of a batch from `view.from_sequence` on, appending to `into`.
/// False: the payload is not a sequence of records.
bool decode_batch(const BatchView& view, std::vector<Record>& into);

}  // namespace trialwire::journal
