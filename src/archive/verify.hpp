// SPDX-License-Identifier: Apache-2.0
// Checks an archive whole: every manifest, signature, object and hash, every batch, and that
// sequences and chain go on from segment to segment; with a journal beside it, also that the two
// join and are the same where both have a segment. Changes nothing. One thread; memory of a batch.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "archive/archive.hpp"
#include "journal/offline.hpp"

namespace trialwire::archive {

/// What is found, by how much it matters.
enum class Severity : std::uint8_t {
  note,     // as it should be, and worth saying
  warning,  // something is lost, and it is known why
  problem,  // damaged, missing, or not what was signed
};

struct ArchiveFinding {
  Severity severity = Severity::note;
  std::string object;  // "file:/srv/archive/segments/…"; empty: of the archive as a whole
  std::string text;
};

struct ArchiveReport {
  std::vector<ArchiveFinding> findings;
  std::size_t problems = 0;
  std::uint64_t segments = 0;  // found to be whole
  std::uint64_t records = 0;
  std::uint64_t raw_bytes = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t first_sequence = 0;  // 0: the archive is empty
  std::uint64_t next_sequence = 0;
};

struct VerifyArchiveOptions {
  /// The journal that the archive is of, as `journal_info` says; null: the archive alone.
  const journal::JournalInfo* journal = nullptr;
  /// Every seal must be signed with this key; null: with the one that the archive has for it.
  const journal::VerifyingKey* key = nullptr;
  /// Fingerprint of the journal's present key: others are pointed out. Empty: none is known.
  std::string journal_key;
};

/// Errors: the store cannot be listed. Everything else is a finding.
Result<ArchiveReport> verify_archive(const Archive& archive, const VerifyArchiveOptions& options);

}  // namespace trialwire::archive
