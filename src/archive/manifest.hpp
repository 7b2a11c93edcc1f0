// SPDX-License-Identifier: Apache-2.0
// What an archived segment is, as a small JSON text beside it: enough to find records by sequence
// or time without opening the segment, and to check it without the journal. The journal's own seal
// is in it as it was signed.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "journal/journal_files.hpp"
#include "journal/sealed_segment.hpp"

namespace trialwire::archive {

struct Manifest {
  Uuid journal;
  journal::SealedSegment segment;
  Sha256 chain_before{};  // hash of the header before the segment's first
  std::int64_t first_committed_ns = 0;
  std::int64_t last_committed_ns = 0;
  // Of all its records; by the machine's clock, which may go back. Cut to milliseconds in text.
  std::int64_t earliest_received_ns = 0;
  std::int64_t latest_received_ns = 0;
  std::int64_t sealed_ns = 0;
  std::int64_t archived_ns = 0;
  std::uint64_t raw_bytes = 0;  // the segment's file
  Sha256 raw_sha256{};
  std::uint64_t stored_bytes = 0;  // compressed
  Sha256 stored_sha256{};
  std::string seal;  // the text of the seal, signature included
  std::string key;   // fingerprint of the public key
  /// What repairs took away: in this segment, and whole segments missing right before it.
  std::vector<journal::Gap> gaps;

  std::uint64_t last_sequence() const noexcept { return segment.next_sequence - 1; }
};

std::string manifest_text(const Manifest& manifest);
/// Error corrupt says what is wrong. The signature is not checked here.
Result<Manifest> parse_manifest(std::string_view text);

}  // namespace trialwire::archive
