// SPDX-License-Identifier: Apache-2.0
// The journal's consumer named "archive": takes sealed segments into the archive, oldest first, and
// moves its cursor behind each, so that a segment is deleted from the journal only after.
//
// Thread: its own, at the lowest priority that can be undone; paced to `bytes_per_second`, and
// giving way to intake as pipeline/give_way.hpp says, unless the journal is pressed for room by
// what is not archived. What is not sealed yet stays in the journal: a segment that takes weeks to
// fill is archived after these weeks. Failure: every attempt is repeated for ever with backoff.
// Meanwhile the journal keeps what is not archived; over its budget, intake is refused until the
// archive takes segments again. Durable when: the cursor moves only after the segment was read back
// and proven, and its manifest is durable.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "archive/archive.hpp"
#include "journal/file_layer.hpp"
#include "journal/journal.hpp"
#include "pipeline/give_way.hpp"
#include "resilience/backoff.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::archive {

/// The journal, as far as the archiver needs it.
struct ArchiverSource {
  Uuid journal;
  std::filesystem::path directory;
  bool direct = false;
  std::function<std::vector<journal::SealedSegment>()> sealed;
  std::function<std::uint64_t()> next_sequence;
  std::function<journal::Backlog(std::uint64_t)> backlog;
  std::function<void(std::uint64_t)> set_cursor;
};
ArchiverSource source_of(journal::Journal& journal, const std::filesystem::path& directory);

struct ArchiverOptions {
  int level = 3;
  std::uint64_t bytes_per_second = 32 << 20;       // of segments; 0: as fast as it goes
  std::chrono::nanoseconds keep{};                 // 0: for ever
  std::uint64_t backlog_bytes_max = 8ULL << 30;    // beyond it: not paced, not giving way
  std::chrono::milliseconds look_interval{1'000};  // for newly sealed segments
  std::chrono::milliseconds expiry_interval{3'600'000};
  resilience::BackoffOptions backoff{std::chrono::milliseconds(500),
                                     std::chrono::milliseconds(60'000)};
  bool background = true;
  std::function<std::int64_t()> unix_now_ns;  // empty: the system clock
};

/// For /readyz and `status`.
struct ArchiverState {
  std::uint64_t segments_waiting = 0;  // sealed, not archived
  std::uint64_t next_sequence = 0;     // everything before it is archived; 0: not known yet
  std::string error;                   // of the last attempt; empty: it went well
};

class Archiver {
 public:
  /// From here on the journal holds everything back for the archive. Before any other consumer
  /// tells the journal a cursor.
  Archiver(ArchiverOptions options, ArchiverSource source, storage::ObjectStore& store,
           journal::FileLayer& files, telemetry::Registry& metrics);
  ~Archiver();

  /// After the other consumers have told the journal where they are.
  void start();
  /// Ends an attempt under way, which leaves nothing behind that the next one would not use.
  void stop();
  /// One round on the caller's thread; only while not started. Errors as SegmentArchiver::archive.
  Result<void> round();

  ArchiverState state() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::archive
