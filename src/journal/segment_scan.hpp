// SPDX-License-Identifier: Apache-2.0
// One segment file, read from front to end without judging: runs of good batches, what is damaged
// between them, gaps that a repair left. inspection.hpp joins the scans of all segments and judges.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "journal/format.hpp"
#include "journal/journal_files.hpp"
#include "journal/read_window.hpp"
#include "journal/recovery_table.hpp"

namespace trialwire::journal {

/// Batches that follow each other and fit together.
struct BatchRun {
  std::uint64_t offset = 0;
  std::uint64_t end = 0;
  std::uint64_t last_batch = 0;  // offset of the last one
  std::uint64_t first_sequence = 0;
  std::uint64_t next_sequence = 0;
  std::uint32_t first_epoch = 0;
  std::uint32_t last_epoch = 0;
  Sha256 previous{};  // of the first
  Sha256 head{};      // hash of the last one's header
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t payload_bytes = 0;
  std::int64_t committed_ns = 0;  // of the last
};

struct Damage {
  RecoveryCase what = RecoveryCase::header_damaged;
  std::uint64_t offset = 0;  // where the batch begins, or should
  std::uint64_t at = 0;      // the first byte known to be wrong
  std::uint64_t end = 0;     // the next good batch, or behind the last byte that is not zero
  std::string text;
  bool followed = false;         // something that is not zero follows the batch
  bool sequences_known = false;  // the fixed head is intact
  bool header_known = false;     // and so is the table: `hash` is right
  std::uint64_t first_sequence = 0;
  std::uint64_t next_sequence = 0;
  std::uint32_t epoch = 0;
  Sha256 previous{};
  Sha256 hash{};
};

using Piece = std::variant<BatchRun, Damage, Gap>;

struct SegmentScan {
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  std::vector<Piece> pieces;  // in the order of the file; none: all zeros
};

struct ScanOptions {
  Uuid journal;
  std::uint64_t number = 0;
  std::uint64_t segment_bytes = 0;
  bool payloads = true;         // false: headers and chain only
  bool records = false;         // decode each record, too
  std::span<const Gap> gaps{};  // of all segments
};

/// Errors are the file's own (io). `window` is reused from call to call.
Result<SegmentScan> scan_segment(File& file, const ScanOptions& options, ReadWindow& window);

/// Do the records of a payload fill it exactly, and are there as many as the head says?
bool records_decode(const BatchHead& head, ByteView payload) noexcept;

}  // namespace trialwire::journal
