// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_ledger.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"

namespace trialwire::journal {

SegmentLedger::SegmentLedger(const Uuid& journal, std::vector<SegmentSummary> segments,
                             std::uint64_t writing, std::uint64_t next_sequence,
                             UndeliveredLimits undelivered)
    : journal_(journal),
      undelivered_(undelivered),
      segments_(std::move(segments)),
      writing_(writing),
      next_sequence_(next_sequence) {
  std::uint64_t bytes = 0;
  for (SegmentSummary& segment : segments_) {
    segment.bytes_before = bytes;
    bytes += segment.end_offset;
  }
}

const SegmentSummary* SegmentLedger::find(std::uint64_t number) const {
  const auto found =
      std::find_if(segments_.begin(), segments_.end(),
                   [&](const SegmentSummary& each) { return each.counts.number == number; });
  return found == segments_.end() ? nullptr : &*found;
}

void SegmentLedger::begin_segment(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  TW_CHECK(segments_.empty() || segments_.back().counts.number < number);
  writing_ = number;
}

void SegmentLedger::appended(const LedgerEntry& entry) {
  const std::lock_guard lock(mutex_);
  TW_CHECK(entry.first_sequence == next_sequence_ && writing_ != 0);
  if (segments_.empty() || segments_.back().counts.number != writing_) {
    SegmentSummary begun;
    begun.counts.number = writing_;
    begun.counts.first_sequence = entry.first_sequence;
    if (!segments_.empty()) {
      begun.bytes_before = segments_.back().bytes_before + segments_.back().end_offset;
    }
    segments_.push_back(begun);
  }
  SegmentSummary& segment = segments_.back();
  segment.end_offset = entry.offset + entry.bytes;
  segment.committed_ns = entry.committed_ns;
  segment.counts.next_sequence = entry.first_sequence + entry.records;
  segment.counts.batches += 1;
  segment.counts.records += entry.records;
  segment.counts.payload_bytes += entry.payload_bytes;
  segment.counts.chain_head = entry.header_hash;
  next_sequence_ = segment.counts.next_sequence;
  judge_undelivered();
}

std::optional<SealedSegment> SegmentLedger::next_to_seal() const {
  const std::lock_guard lock(mutex_);
  for (const SegmentSummary& segment : segments_) {
    if (!segment.sealed && segment.counts.number != writing_) return segment.counts;
  }
  return std::nullopt;
}

void SegmentLedger::mark_sealed(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  for (SegmentSummary& segment : segments_) {
    if (segment.counts.number == number) segment.sealed = true;
  }
}

std::optional<SealedSegment> SegmentLedger::deletable(const DeletionPolicy& policy) const {
  const std::lock_guard lock(mutex_);
  if (segments_.empty() || cursors_.empty() || !segments_.front().sealed) return std::nullopt;
  const SegmentSummary& oldest = segments_.front();
  const bool consumed = std::all_of(cursors_.begin(), cursors_.end(), [&](const auto& cursor) {
    return cursor.second >= oldest.counts.next_sequence;
  });
  const bool due = policy.over_budget || oldest.committed_ns < policy.older_than_ns;
  return consumed && due ? std::optional(oldest.counts) : std::nullopt;
}

void SegmentLedger::remove_oldest(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  TW_CHECK(!segments_.empty() && segments_.front().counts.number == number);
  segments_.erase(segments_.begin());
}

Tail SegmentLedger::tail() const {
  const std::lock_guard lock(mutex_);
  if (segments_.empty()) return {0, 0, next_sequence_};
  return {segments_.back().counts.number, segments_.back().end_offset, next_sequence_};
}

std::uint64_t SegmentLedger::first_sequence() const {
  const std::lock_guard lock(mutex_);
  return segments_.empty() ? next_sequence_ : segments_.front().counts.first_sequence;
}

std::uint64_t SegmentLedger::segments_present() const {
  const std::lock_guard lock(mutex_);
  const bool begun =
      writing_ != 0 && (segments_.empty() || segments_.back().counts.number != writing_);
  return segments_.size() + (begun ? 1 : 0);
}

std::uint64_t SegmentLedger::segments_from(std::uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t count = 0;
  for (const SegmentSummary& segment : segments_) {
    if (segment.counts.next_sequence > sequence) ++count;
  }
  return count;
}

std::uint64_t SegmentLedger::writing_offset() const {
  const std::lock_guard lock(mutex_);
  const bool has_data = !segments_.empty() && segments_.back().counts.number == writing_;
  return has_data ? segments_.back().end_offset : 0;
}

bool SegmentLedger::has_writing() const {
  const std::lock_guard lock(mutex_);
  return writing_ != 0;
}

std::vector<SealedSegment> SegmentLedger::sealed() const {
  const std::lock_guard lock(mutex_);
  std::vector<SealedSegment> sealed;
  for (const SegmentSummary& segment : segments_) {
    if (segment.sealed) sealed.push_back(segment.counts);
  }
  return sealed;
}

void SegmentLedger::set_cursor(std::string_view consumer, std::uint64_t next_sequence) {
  const std::lock_guard lock(mutex_);
  const auto known = cursors_.find(consumer);
  if (known == cursors_.end()) {
    cursors_.emplace(consumer, next_sequence);
  } else {
    known->second = next_sequence;
  }
  judge_undelivered();
}

std::uint64_t SegmentLedger::bytes_from(std::uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  return bytes_from_locked(sequence);
}

std::uint64_t SegmentLedger::bytes_from_locked(std::uint64_t sequence) const {
  if (segments_.empty() || sequence >= next_sequence_) return 0;
  const std::uint64_t end = segments_.back().bytes_before + segments_.back().end_offset;
  auto after = std::upper_bound(segments_.begin(), segments_.end(), sequence,
                                [](std::uint64_t wanted, const SegmentSummary& segment) {
                                  return wanted < segment.counts.first_sequence;
                                });
  if (after == segments_.begin()) return end - segments_.front().bytes_before;
  const SegmentSummary& within = *std::prev(after);
  const std::uint64_t first = within.counts.first_sequence;
  const std::uint64_t records = std::max<std::uint64_t>(within.counts.next_sequence - first, 1);
  const double passed =
      static_cast<double>(std::min(sequence - first, records)) / static_cast<double>(records);
  return end - within.bytes_before -
         static_cast<std::uint64_t>(passed * static_cast<double>(within.end_offset));
}

std::uint64_t SegmentLedger::undelivered_bytes() const {
  const std::lock_guard lock(mutex_);
  return undelivered_bytes_locked();
}

std::uint64_t SegmentLedger::undelivered_bytes_locked() const {
  std::uint64_t least = UINT64_MAX;
  for (const auto& [consumer, next_sequence] : cursors_) {
    // At 0 it has not said where it is: it holds everything back, and need not lack anything.
    if (consumer != index_consumer && next_sequence > 0) least = std::min(least, next_sequence);
  }
  return bytes_from_locked(least);
}

void SegmentLedger::judge_undelivered() {
  if (undelivered_.high == 0) return;
  const std::uint64_t limit = undelivered_full() ? undelivered_.low + 1 : undelivered_.high;
  undelivered_full_.store(undelivered_bytes_locked() >= limit, std::memory_order_relaxed);
}

Result<void> SegmentLedger::check(const Cursor& cursor) const {
  if (cursor.journal != journal_) {
    count_recovery(RecoveryCase::cursor_foreign);
    return fail(ErrorCode::corrupt,
                fmt::format("a cursor of journal {} at sequence {} was given to journal {}",
                            cursor.journal.text(), cursor.next_sequence, journal_.text()));
  }
  std::uint64_t first = 0;
  std::uint64_t next = 0;
  Extent end{1, 0};
  {
    const std::lock_guard lock(mutex_);
    next = next_sequence_;
    if (!segments_.empty()) {
      end = {segments_.back().counts.number, segments_.back().end_offset};
    }
    first = segments_.empty() ? next : segments_.front().counts.first_sequence;
  }
  if (cursor.next_sequence > next || cursor.next_sequence == 0) {
    count_recovery(RecoveryCase::cursor_beyond_tail);
    return fail(
        ErrorCode::corrupt,
        fmt::format("{}: offset {}: a cursor at sequence {} is beyond the end of journal {}, "
                    "whose next sequence is {}: was the journal restored from an older "
                    "copy? `trialwire journal repair --apply --resume-at {}` lets it go on "
                    "behind the cursor",
                    segment_name(end.number), end.end_offset, cursor.next_sequence, journal_.text(),
                    next, cursor.next_sequence));
  }
  if (cursor.next_sequence < first) {
    return fail(ErrorCode::not_found,
                fmt::format("sequence {} was deleted, the oldest in journal {} is {}",
                            cursor.next_sequence, journal_.text(), first));
  }
  return {};
}

std::optional<SegmentLedger::Extent> SegmentLedger::containing(std::uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  if (segments_.empty()) return std::nullopt;
  const SegmentSummary* found = &segments_.front();
  for (const SegmentSummary& segment : segments_) {
    if (segment.counts.first_sequence <= sequence) found = &segment;
  }
  return Extent{found->counts.number, found->end_offset};
}

std::optional<SegmentLedger::Extent> SegmentLedger::extent(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const SegmentSummary* segment = find(number);
  return segment == nullptr ? std::nullopt : std::optional(Extent{number, segment->end_offset});
}

std::optional<SegmentLedger::Extent> SegmentLedger::after(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  for (const SegmentSummary& segment : segments_) {
    if (segment.counts.number > number) {
      return Extent{segment.counts.number, segment.end_offset};
    }
  }
  return std::nullopt;
}

}  // namespace trialwire::journal
