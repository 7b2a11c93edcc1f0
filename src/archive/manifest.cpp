// SPDX-License-Identifier: Apache-2.0
#include "archive/manifest.hpp"

#include <iterator>

#include <fmt/format.h>

#include "archive/layout.hpp"
#include "base/rfc3339.hpp"

namespace trialwire::archive {
namespace {

constexpr std::string_view format = "trialwire-archive 1";

using journal::to_hex;

std::string gaps_text(const std::vector<journal::Gap>& gaps) {
  std::string text = "[";
  for (const journal::Gap& gap : gaps) {
    fmt::format_to(std::back_inserter(text),
                   "{}{{\"segment\": {}, \"offset\": {}, \"bytes\": {}, \"lostFrom\": {}, "
                   "\"resumeSequence\": {}, \"resumePrevious\": \"{}\"}}",
                   text.size() == 1 ? "" : ", ", gap.segment, gap.offset, gap.bytes, gap.lost_from,
                   gap.resume_sequence, to_hex(gap.resume_previous));
  }
  return text + "]";
}

Result<journal::Gap> parse_gap(const boost::json::value& value) {
  const auto wrong = fail(ErrorCode::corrupt, "a gap is not what it should be");
  if (!value.is_object()) return wrong;
  Fields fields(value.get_object());
  journal::Gap gap;
  gap.segment = fields.number("segment");
  gap.offset = fields.number("offset");
  gap.bytes = fields.number("bytes");
  gap.lost_from = fields.number("lostFrom");
  gap.resume_sequence = fields.number("resumeSequence");
  gap.resume_previous = fields.hash("resumePrevious");
  const bool on_blocks =
      gap.offset % journal::block_bytes == 0 && gap.bytes % journal::block_bytes == 0;
  if (!fields.ok() || !on_blocks || gap.offset + gap.bytes < gap.offset) return wrong;
  return gap;
}

}  // namespace

std::string manifest_text(const Manifest& manifest) {
  const journal::SealedSegment& segment = manifest.segment;
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out,
                 "\"format\": \"{}\",\n\"journalId\": \"{}\",\n\"segment\": {},\n"
                 "\"firstSequence\": {},\n\"lastSequence\": {},\n\"records\": {},\n"
                 "\"batches\": {},\n\"payloadBytes\": {},\n",
                 format, manifest.journal.text(), segment.number, segment.first_sequence,
                 manifest.last_sequence(), segment.records, segment.batches, segment.payload_bytes);
  fmt::format_to(out, "\"chainBefore\": \"{}\",\n\"chainHead\": \"{}\",\n",
                 to_hex(manifest.chain_before), to_hex(segment.chain_head));
  fmt::format_to(out,
                 "\"firstCommittedAt\": \"{}\",\n\"lastCommittedAt\": \"{}\",\n"
                 "\"earliestReceivedAt\": \"{}\",\n\"latestReceivedAt\": \"{}\",\n"
                 "\"sealedAt\": \"{}\",\n\"archivedAt\": \"{}\",\n",
                 format_rfc3339_ms(manifest.first_committed_ns),
                 format_rfc3339_ms(manifest.last_committed_ns),
                 format_rfc3339_ms(manifest.earliest_received_ns),
                 format_rfc3339_ms(manifest.latest_received_ns),
                 format_rfc3339_ms(manifest.sealed_ns), format_rfc3339_ms(manifest.archived_ns));
  fmt::format_to(out,
                 "\"raw\": {{\"bytes\": {}, \"sha256\": \"{}\"}},\n"
                 "\"stored\": {{\"bytes\": {}, \"sha256\": \"{}\"}},\n",
                 manifest.raw_bytes, to_hex(manifest.raw_sha256), manifest.stored_bytes,
                 to_hex(manifest.stored_sha256));
  fmt::format_to(out, "\"seal\": {},\n\"publicKey\": \"{}\",\n\"gaps\": {}",
                 boost::json::serialize(boost::json::value(manifest.seal)), manifest.key,
                 gaps_text(manifest.gaps));
  return with_checksum(std::move(text));
}

Result<Manifest> parse_manifest(std::string_view text) {
  const auto object = parse_checked(text);
  if (!object) return std::unexpected(object.error());
  Fields fields(*object);
  if (fields.text("format") != format) {
    return fail(ErrorCode::corrupt, "it is not a manifest of a known format");
  }
  Manifest manifest;
  manifest.journal = fields.uuid("journalId");
  journal::SealedSegment& segment = manifest.segment;
  segment.number = fields.number("segment");
  segment.first_sequence = fields.number("firstSequence");
  segment.next_sequence = fields.number("lastSequence") + 1;
  segment.records = fields.number("records");
  segment.batches = fields.number("batches");
  segment.payload_bytes = fields.number("payloadBytes");
  manifest.chain_before = fields.hash("chainBefore");
  segment.chain_head = fields.hash("chainHead");
  manifest.first_committed_ns = fields.time("firstCommittedAt");
  manifest.last_committed_ns = fields.time("lastCommittedAt");
  manifest.earliest_received_ns = fields.time("earliestReceivedAt");
  manifest.latest_received_ns = fields.time("latestReceivedAt");
  manifest.sealed_ns = fields.time("sealedAt");
  manifest.archived_ns = fields.time("archivedAt");
  Fields raw(fields.object("raw"));
  manifest.raw_bytes = raw.number("bytes");
  manifest.raw_sha256 = raw.hash("sha256");
  Fields stored(fields.object("stored"));
  manifest.stored_bytes = stored.number("bytes");
  manifest.stored_sha256 = stored.hash("sha256");
  manifest.seal = fields.text("seal");
  manifest.key = to_hex(fields.hash("publicKey"));  // it becomes the name of an object
  for (const boost::json::value& each : fields.array("gaps")) {
    auto gap = parse_gap(each);
    if (!gap) return std::unexpected(gap.error());
    manifest.gaps.push_back(*gap);
  }
  const bool whole_blocks = manifest.raw_bytes > 0 &&
                            manifest.raw_bytes % journal::block_bytes == 0 &&
                            manifest.raw_bytes <= 1ULL << 40;
  if (!fields.ok() || !raw.ok() || !stored.ok() || segment.number == 0 || !whole_blocks) {
    return fail(ErrorCode::corrupt, "a field is missing or wrong");
  }
  return manifest;
}

}  // namespace trialwire::archive
