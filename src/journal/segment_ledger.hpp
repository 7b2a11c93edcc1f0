// SPDX-License-Identifier: Apache-2.0
// What the store knows of its segments: which there are, how far they are durable, which consumer
// holds which back. The only state that committer, background thread, readers and scrapes share;
// each call takes its lock for a moment, and does no I/O and makes no text under it. Size: a few
// hundred bytes a segment.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "journal/inspection.hpp"

namespace trialwire::journal {

/// One durable batch, as the ledger takes note of it.
struct LedgerEntry {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t first_sequence = 0;
  std::uint32_t records = 0;
  std::uint64_t payload_bytes = 0;
  std::int64_t committed_ns = 0;
  Sha256 header_hash{};
};

struct DeletionPolicy {
  std::int64_t older_than_ns = 0;  // committed before this
  bool over_budget = false;        // then age does not matter
};

class SegmentLedger {
 public:
  /// `segments`: with data, ascending. `writing`: the one that will be appended to, 0: none.
  SegmentLedger(const Uuid& journal, std::vector<SegmentSummary> segments, std::uint64_t writing,
                std::uint64_t next_sequence, UndeliveredLimits undelivered = {});

  // Committer:
  void begin_segment(std::uint64_t number);
  void appended(const LedgerEntry& entry);

  // Background thread:
  std::optional<SealedSegment> next_to_seal() const;  // full and not yet sealed, oldest first
  void mark_sealed(std::uint64_t number);
  /// The oldest segment when it is sealed, past every cursor and the policy lets it go. Nothing as
  /// long as no cursor is known.
  std::optional<SealedSegment> deletable(const DeletionPolicy& policy) const;
  void remove_oldest(std::uint64_t number);

  // Any thread:
  Tail tail() const;
  std::uint64_t first_sequence() const;
  std::uint64_t segments_present() const;  // with data, and the one being written
  /// With records from this sequence on.
  std::uint64_t segments_from(std::uint64_t sequence) const;
  /// Written from this sequence on; of the segment that it lies in, in proportion.
  std::uint64_t bytes_from(std::uint64_t sequence) const;
  /// What the consumer that is furthest behind lacks; 0 as long as none is known.
  std::uint64_t undelivered_bytes() const;
  /// It has reached the high limit, and not been at the low one since. Without a lock.
  bool undelivered_full() const noexcept {
    return undelivered_full_.load(std::memory_order_relaxed);
  }
  std::uint64_t writing_offset() const;  // where the next batch would go; 0 in an empty segment
  bool has_writing() const;
  std::vector<SealedSegment> sealed() const;
  void set_cursor(std::string_view consumer, std::uint64_t next_sequence);
  /// As SegmentStore::check_cursor.
  Result<void> check(const Cursor& cursor) const;

  // Readers:
  struct Extent {
    std::uint64_t number = 0;
    std::uint64_t end_offset = 0;
  };
  /// The segment to begin with for this sequence; nothing while there are no segments.
  std::optional<Extent> containing(std::uint64_t sequence) const;
  std::optional<Extent> extent(std::uint64_t number) const;
  std::optional<Extent> after(std::uint64_t number) const;

 private:
  const SegmentSummary* find(std::uint64_t number) const;
  // With the lock held:
  std::uint64_t bytes_from_locked(std::uint64_t sequence) const;
  std::uint64_t undelivered_bytes_locked() const;
  void judge_undelivered();

  const Uuid journal_;
  const UndeliveredLimits undelivered_;
  mutable std::mutex mutex_;
  std::vector<SegmentSummary> segments_;
  std::uint64_t writing_;
  std::uint64_t next_sequence_;
  std::map<std::string, std::uint64_t, std::less<>> cursors_;
  std::atomic<bool> undelivered_full_{false};
};

}  // namespace trialwire::journal
