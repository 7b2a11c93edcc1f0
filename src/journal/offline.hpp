// SPDX-License-Identifier: Apache-2.0
// What the command line does with a journal that no process runs: each function takes the
// directory's lock (error unavailable when it is in use) and changes nothing but, when told so,
// `journal_repair`. Texts in reports name file and offset and hold no record's bytes.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "journal/inspection.hpp"

namespace trialwire::journal {

/// By headers alone: quick, also for a large journal.
struct JournalInfo {
  JournalMeta meta;
  Retired retired;
  std::vector<Gap> gaps;                 // what repairs took away
  std::vector<SegmentSummary> segments;  // with data, oldest first
  std::size_t spares = 0;
  std::uint64_t first_sequence = 1;
  std::uint64_t next_sequence = 1;
  std::uint32_t epoch = 0;
  std::uint64_t records = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t disk_bytes = 0;
  Consumers consumers;               // what they say, if they were asked
  std::vector<std::string> unknown;  // of the journal's end, see unknown_end
  std::string refusal;               // why it would not start; empty: it would
};
/// Errors: not_found when there is no journal. With `consumers`, cursors are compared as a start
/// does it.
Result<JournalInfo> journal_info(const std::filesystem::path& directory, FileLayer& files,
                                 const AskConsumers& consumers = {});

struct VerifyReport {
  std::vector<Finding> findings;  // all rows of the recovery table that apply
  std::size_t problems = 0;       // those that refuse a start
  std::uint64_t segments = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t next_sequence = 1;
  std::vector<Gap> gaps;             // what repairs took away
  Consumers consumers;               // what they say, if they were asked
  std::vector<std::string> unknown;  // of the journal's end, see unknown_end
};
struct VerifyOptions {
  AskConsumers consumers;  // none: no cursor is compared
  unsigned threads = 0;    // 0: by the processors
};
/// Every header, the chain, every payload, every record's structure, every seal's signature, and
/// the cursors.
Result<VerifyReport> journal_verify(const std::filesystem::path& directory, FileLayer& files,
                                    const VerifyOptions& options = {});

/// A journal at rest, held against a server for as long as this lives, to be read in order. One
/// thread.
class JournalAtRest {
 public:
  /// Checks headers. Errors: not_found, when there is no journal; unavailable, when it is in use;
  /// corrupt, when it would not start.
  static Result<std::unique_ptr<JournalAtRest>> open(const std::filesystem::path& directory,
                                                     FileLayer& files);
  virtual ~JournalAtRest() = default;
  virtual const JournalInfo& info() const noexcept = 0;
  /// Behind the last sealed segment: what is before it can no longer be cut off as a torn tail.
  virtual std::uint64_t sealed_end() const noexcept = 0;
  /// From a sequence that is there. It may not outlive this.
  virtual std::unique_ptr<SegmentReader> read(std::uint64_t from) = 0;
};

struct CatRange {
  std::uint64_t from = 0;    // 0: the oldest that is there
  std::uint64_t to = ~0ULL;  // inclusive
};
/// Calls `each` for the records of the range in order until it returns false; `journal` is what
/// record ids are derived from. Ends with an error (corrupt) at the first damage it meets. Errors,
/// before any call: invalid_argument when `to` is before `from`, not_found when `from` is deleted
/// or not yet written.
Result<void> journal_cat(const std::filesystem::path& directory, FileLayer& files,
                         const CatRange& range,
                         const std::function<bool(const Uuid& journal, const Record&)>& each);

struct RepairOptions {
  bool apply = false;  // false: say what would be done
  /// The journal goes on with this sequence at least: for a directory that was restored from an
  /// older copy, when consumers have read further.
  std::optional<std::uint64_t> resume_at;
  AskConsumers consumers;  // none: nobody knows how far they have read
};
struct RepairReport {
  std::vector<std::string> problems;  // what was found
  std::vector<std::string> actions;   // what is (or would be) done
  std::vector<std::string> lost;      // sequences that are not in the journal afterwards
  std::vector<std::string> unknown;   // what cannot be known of the journal's end, and why
  bool applied = false;
};
/// Moves what is damaged to `quarantine/` (nothing is ever deleted), keeps every intact batch,
/// notes in `repairs` where the chain goes on. Afterwards the journal starts, or the error says why
/// not.
Result<RepairReport> journal_repair(const std::filesystem::path& directory, FileLayer& files,
                                    const RepairOptions& options);

}  // namespace trialwire::journal
