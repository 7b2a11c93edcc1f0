// SPDX-License-Identifier: Apache-2.0
#include "journal/recovery_table.hpp"

#include <atomic>

#include "base/check.hpp"

namespace trialwire::journal {
namespace {

using enum RecoveryCase;
using enum RecoveryAction;

constexpr std::size_t rows = static_cast<std::size_t>(count_);

constexpr std::array<RecoveryRow, rows> table{{
    {empty_directory, "empty_directory", "no journal here", change, "create keys and journal.meta"},
    {clean_tail, "clean_tail", "every batch intact, zeros after the last one", go_on,
     "go on after the last batch; sync its file before anyone reads it"},
    {spare_segment, "spare_segment", "a segment of zeros after the last one with data", go_on,
     "use it when the current one is full"},
    {unfinished_file, "unfinished_file", "a temporary name of the journal's own", change,
     "delete it: it never came into use"},
    {torn_tail, "torn_tail",
     "the last batch: each block that does not match has a sector of header or payload bytes "
     "still zero, only zeros follow, and no consumer has read it",
     change,
     "keep a copy in quarantine/, then cut it off: zero its other blocks, sync, zero its first "
     "block, sync"},
    {torn_header, "torn_header",
     "after the last batch: a zero first sector with data behind it, no longer than the largest "
     "batch, nothing valid follows, and no consumer has read it",
     change, "cut it off likewise"},
    {buffered_tail, "buffered_tail", "an intact last batch, and I/O goes through the page cache",
     change, "write it again and sync: the cache may hold what the disk refused"},
    {retired_present, "retired_present", "a segment that the file `retired` says is deleted",
     change, "finish the deletion"},
    {seal_missing, "seal_missing", "a full segment without a seal", change, "sign it"},
    {directory_copied, "directory_copied",
     "journal.meta is another file than the one it was written as", warn,
     "say that the directory was copied or restored, then go on"},
    {unknown_file, "unknown_file", "a file that is not the journal's", warn, "say so and leave it"},
    {repaired_gap, "repaired_gap", "a gap that the file `repairs` lists", warn,
     "say what is lost and go on behind it"},
    {other_journal, "other_journal",
     "a destination has cursors of other journals, and none of this one", warn,
     "say both journals, then go on: its records come beside theirs"},
    {block_damaged, "block_damaged",
     "a block or the payload hash does not match, and no sector is still zero", refuse,
     "refuse to start"},
    {torn_but_followed, "torn_but_followed", "it looks torn, but something follows it", refuse,
     "refuse to start"},
    {header_damaged, "header_damaged",
     "a batch's first sector is not zero and its CRC or its fields are wrong", refuse,
     "refuse to start"},
    {data_without_header, "data_without_header",
     "data without a header that reaches further than the largest batch", refuse,
     "refuse to start"},
    {foreign_file, "foreign_file", "a segment's name on something else", refuse, "refuse to start"},
    {foreign_journal, "foreign_journal", "a batch or seal of another journal", refuse,
     "refuse to start"},
    {unsupported_version, "unsupported_version", "an intact header of another format version",
     refuse, "refuse to start"},
    {misplaced_batch, "misplaced_batch", "a batch that was written for another place", refuse,
     "refuse to start"},
    {chain_broken, "chain_broken", "a batch does not carry the hash of the header before it",
     refuse, "refuse to start"},
    {sequence_gap, "sequence_gap",
     "a batch does not go on with the sequence or the epoch before it", refuse, "refuse to start"},
    {segment_missing, "segment_missing", "a segment is gone that was not deleted by policy", refuse,
     "refuse to start"},
    {segment_size, "segment_size", "a segment is longer or shorter than it was made", refuse,
     "refuse to start"},
    {seal_wrong, "seal_wrong", "a seal's signature is bad, or it does not match its segment",
     refuse, "refuse to start"},
    {metadata_damaged, "metadata_damaged",
     "journal.meta, retired, repairs or a key is damaged or missing", refuse, "refuse to start"},
    {cursor_beyond_tail, "cursor_beyond_tail", "a consumer has read further than the journal goes",
     refuse, "refuse to start, both ends named"},
    {cursor_foreign, "cursor_foreign", "a consumer's cursor is of another journal", refuse,
     "refuse the cursor, both journals named"},
    {unreadable, "unreadable", "the disk does not give the bytes", refuse, "refuse to start"},
}};

constexpr bool in_order() {
  for (std::size_t i = 0; i < rows; ++i) {
    if (table[i].what != static_cast<RecoveryCase>(i)) return false;
  }
  return true;
}
static_assert(in_order());

std::array<std::atomic<std::uint64_t>, rows> hits;

}  // namespace

std::span<const RecoveryRow> recovery_table() noexcept {
  return table;
}

const RecoveryRow& recovery_row(RecoveryCase what) noexcept {
  TW_CHECK(what < count_);
  return table[static_cast<std::size_t>(what)];
}

std::array<std::uint64_t, rows> recovery_hits() noexcept {
  std::array<std::uint64_t, rows> copy{};
  for (std::size_t i = 0; i < rows; ++i) copy[i] = hits[i].load(std::memory_order_relaxed);
  return copy;
}

void count_recovery(RecoveryCase what) noexcept {
  hits[static_cast<std::size_t>(what)].fetch_add(1, std::memory_order_relaxed);
}

}  // namespace trialwire::journal
