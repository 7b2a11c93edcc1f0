// SPDX-License-Identifier: Apache-2.0
// The durable log that acknowledges. Owns its directory (locked against a second process), the
// committer thread and the task that pre-writes segments. Format: docs/journal-format.md.
//
// Durable when: Waiter::committed is called with State::durable only after fdatasync of the batch
// returned, and with Options::acknowledge_replicated after `replicated` passed it. After a failed
// write or sync nothing more is acknowledged and `on_fatal` is called. What is not replicated when
// the journal stops is answered as deadline_exceeded: it is stored here, and may be lost with the
// machine.
#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "journal/appender.hpp"
#include "journal/consumers.hpp"
#include "journal/file_layer.hpp"
#include "journal/reader.hpp"
#include "journal/sealed_segment.hpp"

namespace trialwire::telemetry {
class Registry;
}

namespace trialwire::journal {

enum class SyncMode : std::uint8_t { always, none };
enum class IoMode : std::uint8_t { automatic, direct, buffered };

/// Bytes that some consumer lacks: from `high` on nothing more is taken, until it is `low` again,
/// so that a consumer that comes back is not met by requests that come and go with each segment.
struct UndeliveredLimits {
  std::uint64_t high = 0;  // 0: no limit but the disk budget
  std::uint64_t low = 0;
};

struct Options {
  std::filesystem::path directory;
  SyncMode sync = SyncMode::always;
  IoMode io = IoMode::automatic;
  std::size_t batch_bytes_max = 4 << 20;  // soft: a group is never split
  std::size_t segment_bytes = 128 << 20;  // multiple of 4 KiB
  std::uint64_t bytes_max = 16ULL << 30;  // disk budget
  UndeliveredLimits undelivered;
  std::chrono::nanoseconds retention = std::chrono::hours(24);
  std::size_t recent_bytes = 16 << 20;             // recent batches kept in memory
  std::size_t commit_bytes = 64 << 10;             // a sync starts when so much waits …
  std::chrono::microseconds commit_interval{500};  // … or so long after the last one started
  std::chrono::milliseconds silence{50};           // then an empty batch seals the last one
  std::size_t unacknowledged_bytes_max = 64 << 20;
  /// Receipts wait for Journal::replicated, too.
  bool acknowledge_replicated = false;
  std::chrono::nanoseconds dedupe_window = std::chrono::hours(24);  // 0: off
  std::size_t dedupe_bytes = 64 << 20;
  std::filesystem::path identity_key_file;       // shared with other journals; empty: one's own key
  std::size_t scrub_bytes_per_second = 8 << 20;  // 0: off
  AskConsumers consumers;                        // none: everything is verified at start
};

/// Numbers for /metrics, `status` and `journal info`; a consistent copy.
struct Status {
  Uuid id;
  std::uint32_t epoch = 0;
  std::uint64_t next_sequence = 1;
  std::uint64_t first_sequence = 1;  // oldest record still here
  std::uint64_t segments = 0;
  std::uint64_t bytes_on_disk = 0;
  bool direct_io = false;
  bool failed = false;
};

/// What a consumer that stands at a sequence has still to take.
struct Backlog {
  std::uint64_t bytes = 0;       // of the disk budget: the segments from that sequence on, whole
  std::uint64_t data_bytes = 0;  // written from about that sequence on
  bool blocked = false;  // no new segment can be prepared, or too much is undelivered: intake is
                         // refused, or soon will be
};

class Journal {
 public:
  virtual ~Journal() = default;

  /// Recovers as the table in recovery.hpp says, or refuses with file and offset named.
  /// Nothing is touched when it refuses.
  static Result<std::unique_ptr<Journal>> open(const Options& options, FileLayer& files,
                                               telemetry::Registry& metrics);

  /// Appender of one shard. `notify` is called on the committer's thread when receipts are ready;
  /// it must arrange that `deliver` is called on the shard's thread.
  struct ShardPort {
    std::unique_ptr<Appender> appender;
    std::function<void()> deliver;
  };
  virtual ShardPort add_shard(std::function<void()> notify) = 0;

  /// Starts the committer. `on_fatal` is called once, on the committer's thread, when the disk has
  /// failed: the process must end without a further acknowledgement.
  virtual void start(std::function<void(const Error&)> on_fatal) = 0;
  /// Refuses new groups, commits what was appended, joins the threads. Idempotent.
  virtual void stop() = 0;

  /// From a cursor. Errors: corrupt when the cursor is of another journal, or beyond the tail
  /// (both are named), not_found when its segment is deleted.
  virtual Result<std::unique_ptr<Reader>> read(const Cursor& from) = 0;
  virtual Cursor begin() const = 0;  // oldest record still here
  virtual Cursor end() const = 0;    // after the newest durable one

  /// A consumer whose durable cursor holds segments back. Call with every durable advance.
  virtual void set_cursor(std::string_view consumer, const Cursor& durable) = 0;

  /// Every record before this sequence is on another machine, too: with acknowledge_replicated the
  /// receipts that waited for that go out. Any thread. Not below what was said before.
  virtual void replicated(std::uint64_t /*next_sequence*/) {}

  virtual Backlog backlog(std::uint64_t next_sequence) const = 0;
  /// Full, signed and still here, oldest first: what an archive may take. None of a journal that is
  /// not made of files.
  virtual std::vector<SealedSegment> sealed_segments() const { return {}; }
  virtual Status status() const = 0;
  /// Appended and not yet acknowledged, of all shards. Any thread, without a lock: it is asked
  /// before each read of a connection.
  virtual std::size_t pending_bytes() const noexcept = 0;
};

}  // namespace trialwire::journal
