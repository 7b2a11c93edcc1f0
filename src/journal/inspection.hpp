// SPDX-License-Identifier: Apache-2.0
// A look at a whole journal directory that changes nothing: every row of the recovery table that
// applies, and where the chain ends. Recovery acts on it, `journal verify` prints it, `journal
// repair` works from it. Segments are scanned by several threads, each with one read window.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "journal/consumers.hpp"
#include "journal/journal_files.hpp"
#include "journal/seal.hpp"
#include "journal/segment_scan.hpp"
#include "journal/segment_store.hpp"

namespace trialwire::journal {

/// A row of the table that applies, and to what.
struct Finding {
  RecoveryCase what = RecoveryCase::clean_tail;
  std::filesystem::path file;
  std::uint64_t offset = 0;
  std::string text;
  /// "FILE: offset N: text"
  std::string line() const;
};

struct InspectOptions {
  bool direct = false;         // read past the page cache
  AskConsumers consumers;      // none: every payload is verified, no cursor is known
  bool headers_alone = false;  // no payload but those of the newest segments, whatever they say
  bool thorough = false;       // decode every record, check seals of deleted segments, too
  unsigned threads = 0;        // 0: by the processors
  std::uint64_t batch_extent_max = 64 << 20;
};

/// A segment with data, as the store keeps it.
struct SegmentSummary {
  SealedSegment counts;
  std::uint64_t end_offset = 0;
  std::int64_t committed_ns = 0;  // of its last batch
  bool sealed = false;
  std::uint64_t bytes_before = 0;  // of the segments before it; the ledger's
};

struct FoundSeal {
  std::uint64_t number = 0;
  std::optional<Seal> seal;  // nothing: it is there, but wrong
};

struct BatchExtent {
  std::uint64_t segment = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

/// Where the next batch goes and what it carries.
struct ChainEnd {
  std::uint64_t next_sequence = 1;
  Sha256 previous{};
  std::uint32_t epoch = 0;    // of the last batch
  std::uint64_t segment = 0;  // 0: none yet
  std::uint64_t offset = 0;
};

struct Inspection {
  Listing listing;
  bool exists = false;  // there is a journal here
  std::optional<JournalMeta> meta;
  Retired retired;
  std::vector<Gap> gaps;
  Consumers consumers;
  std::vector<Finding> findings;
  std::vector<FoundSeal> seals;          // ascending, of segments not yet retired
  std::vector<SegmentScan> scans;        // ascending, those not yet retired
  std::vector<SegmentSummary> segments;  // those with data, ascending
  std::vector<std::uint64_t> spares;     // all zeros, after the last one with data
  ChainEnd end;

  // What recovery is to do, when nothing refuses:
  std::optional<BatchExtent> cut;         // the torn tail
  std::optional<BatchExtent> last_batch;  // the newest intact one
  std::vector<std::uint64_t> finish_deletion;
  bool copied = false;

  const Finding* refusal() const noexcept;  // the first row that refuses
};

/// The finding for what `found.consumers` says of other journals; none when it says nothing.
std::optional<Finding> other_journals(const std::filesystem::path& directory,
                                      const Inspection& found);

/// What nothing tells of the journal's end, a line each: records behind the last one leave no trace
/// when the segment that held them is emptied and no consumer says how far it had read. None while
/// a consumer does, or none was asked.
std::vector<std::string> unknown_end(const Inspection& found);

/// Errors: the directory itself cannot be listed. Everything else is a finding.
Result<Inspection> inspect(const std::filesystem::path& directory, FileLayer& files,
                           const InspectOptions& options);

}  // namespace trialwire::journal
