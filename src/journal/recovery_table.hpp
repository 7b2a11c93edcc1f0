// SPDX-License-Identifier: Apache-2.0
// What can be found in a journal's directory at start, and what is done about it: one table, here
// and in docs/journal-format.md (a test compares them). Rows that refuse leave everything as it is
// and name file and offset; every other row that changes anything is logged and counted.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace trialwire::journal {

enum class RecoveryCase : std::uint8_t {
  empty_directory,
  clean_tail,
  spare_segment,
  unfinished_file,
  torn_tail,
  torn_header,
  buffered_tail,
  retired_present,
  seal_missing,
  directory_copied,
  unknown_file,
  repaired_gap,
  other_journal,
  block_damaged,
  torn_but_followed,
  header_damaged,
  data_without_header,
  foreign_file,
  foreign_journal,
  unsupported_version,
  misplaced_batch,
  chain_broken,
  sequence_gap,
  segment_missing,
  segment_size,
  seal_wrong,
  metadata_damaged,
  cursor_beyond_tail,
  cursor_foreign,
  unreadable,
  count_,
};

enum class RecoveryAction : std::uint8_t { go_on, change, warn, refuse };

struct RecoveryRow {
  RecoveryCase what;
  std::string_view label;  // metric label and first column of the documented table
  std::string_view found;
  RecoveryAction action;
  std::string_view done;
};

std::span<const RecoveryRow> recovery_table() noexcept;
const RecoveryRow& recovery_row(RecoveryCase what) noexcept;
inline bool refuses(RecoveryCase what) noexcept {
  return recovery_row(what).action == RecoveryAction::refuse;
}

/// How often each row was met by this process, in the order of the table. Tests print it, so that
/// a row that no test reaches is seen.
std::array<std::uint64_t, static_cast<std::size_t>(RecoveryCase::count_)> recovery_hits() noexcept;
void count_recovery(RecoveryCase what) noexcept;

}  // namespace trialwire::journal
