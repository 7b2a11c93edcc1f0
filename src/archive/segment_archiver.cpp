// SPDX-License-Identifier: Apache-2.0
#include "archive/segment_archiver.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include <fmt/format.h>

#include "journal/read_window.hpp"
#include "telemetry/log.hpp"

namespace trialwire::archive {
namespace {

using journal::Gap;
using storage::PutMode;
using telemetry::LogLevel;

constexpr std::size_t read_bytes = 1 << 20;

void warn(std::string_view message, std::uint64_t number, std::string_view detail) {
  telemetry::log(LogLevel::warn, "archive", message, {{"segment", number}, {"detail", detail}});
}

}  // namespace

SegmentArchiver::SegmentArchiver(SegmentArchiverOptions options, Archive archive,
                                 journal::FileLayer& files)
    : options_(std::move(options)), archive_(archive), files_(files) {}

std::int64_t SegmentArchiver::now() const {
  if (options_.unix_now_ns) return options_.unix_now_ns();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

Result<void> SegmentArchiver::load_repairs() {
  auto repairs = journal::read_repairs(files_, options_.journal_directory);
  if (!repairs && repairs.error().code != ErrorCode::not_found) {
    return std::unexpected(repairs.error());
  }
  repairs_ = repairs ? std::move(*repairs) : std::vector<Gap>{};
  return {};
}

bool SegmentArchiver::repaired(std::uint64_t number) const {
  return std::ranges::any_of(repairs_, [&](const Gap& gap) { return gap.segment == number; });
}

/// Those of the segment, and of the ones right before it that are lost whole: they have no manifest
/// to be named in.
std::vector<Gap> SegmentArchiver::gaps_for(std::uint64_t number, std::uint64_t bytes) const {
  const auto lost_whole = [&](std::uint64_t each) {
    return std::ranges::any_of(repairs_, [&](const Gap& gap) {
      return gap.segment == each && gap.offset == 0 && gap.bytes == bytes;
    });
  };
  std::uint64_t from = number;
  while (from > 1 && lost_whole(from - 1)) --from;
  std::vector<Gap> gaps;
  for (const Gap& gap : repairs_) {
    if (gap.segment >= from && gap.segment <= number) gaps.push_back(gap);
  }
  return gaps;
}

Result<bool> SegmentArchiver::archived_already(const journal::SealedSegment& segment,
                                               bool& manifest_damaged) {
  const auto manifest = archive_.manifest(segment.number);
  if (!manifest) {
    if (manifest.error().code == ErrorCode::not_found) return false;
    if (manifest.error().code != ErrorCode::corrupt) return std::unexpected(manifest.error());
    warn("a damaged manifest is written anew", segment.number, manifest.error().text);
    manifest_damaged = true;
    return false;
  }
  if (manifest->segment != segment) {
    // A repair took bytes out of the journal's file since. The archive has the better copy.
    if (repaired(segment.number)) return true;
    return fail(ErrorCode::conflict,
                fmt::format("{} holds another segment {:x} of this journal: its chain ends in {}, "
                            "this one's in {}. Was the journal restored from an older copy? Give "
                            "archive.url a place that is empty",
                            archive_.where(manifest_object(archive_.journal(), segment.number)),
                            segment.number, journal::to_hex(manifest->segment.chain_head),
                            journal::to_hex(segment.chain_head)));
  }
  const auto size = archive_.store().size(segment_object(archive_.journal(), segment.number));
  if (size && *size == manifest->stored_bytes) return true;
  if (!size && size.error().code != ErrorCode::not_found) return std::unexpected(size.error());
  warn("an archived segment is stored anew: its object is missing or of another size",
       segment.number, "");
  manifest_damaged = true;
  return false;
}

Result<StoredCheck> SegmentArchiver::put(const SegmentPlace& place, PutMode mode) {
  const auto name = options_.journal_directory / journal::segment_name(place.number);
  const auto file = files_.open(name, journal::OpenMode::read, options_.direct);
  if (!file) return std::unexpected(file.error());
  auto upload = archive_.store().put(segment_object(place.journal, place.number), mode);
  if (!upload) return std::unexpected(upload.error());
  StreamSums raw;
  StreamSums stored;
  Compressor compressor(options_.level, place.bytes, [&](ByteView bytes) {
    stored.hasher.update(bytes);
    stored.bytes += bytes.size();
    return (*upload)->write(bytes);
  });
  journal::ReadWindow window;
  window.open(**file, place.bytes);
  while (raw.bytes < place.bytes) {
    const std::size_t some = std::min<std::uint64_t>(read_bytes, place.bytes - raw.bytes);
    const auto bytes = window.view(raw.bytes, some, some);
    if (!bytes) return std::unexpected(bytes.error());
    raw.hasher.update(*bytes);
    raw.bytes += some;
    if (auto written = compressor.write(*bytes); !written) return std::unexpected(written.error());
    if (!options_.paced) continue;
    if (auto goes_on = options_.paced(some / 2); !goes_on) return std::unexpected(goes_on.error());
  }
  if (auto ended = compressor.finish(); !ended) return std::unexpected(ended.error());
  if (auto done = (*upload)->commit(); !done) return std::unexpected(done.error());
  return StoredCheck{.raw_bytes = raw.bytes,
                     .raw_sha256 = raw.hasher.finish(),
                     .stored_bytes = stored.bytes,
                     .stored_sha256 = stored.hasher.finish()};
}

/// `written`: what it must be the same as.
Result<StoredCheck> SegmentArchiver::read_back(const SegmentPlace& place,
                                               const StoredCheck* written) {
  const Paced half = [this](std::uint64_t bytes) {
    return options_.paced ? options_.paced(bytes / 2) : Result<void>{};
  };
  auto stored = check_stored(archive_, place, half);
  if (!stored || written == nullptr) return stored;
  if (stored->stored_sha256 != written->stored_sha256 ||
      stored->raw_sha256 != written->raw_sha256) {
    return fail(ErrorCode::io,
                fmt::format("{}: what is read back is not what was written",
                            archive_.where(segment_object(place.journal, place.number))));
  }
  return stored;
}

Result<StoredCheck> SegmentArchiver::store(const SegmentPlace& place) {
  auto written = put(place, PutMode::if_absent);
  if (!written && written.error().code == ErrorCode::conflict) {
    // Of an attempt that ended before its manifest.
    if (auto stored = read_back(place, nullptr); stored) return stored;
    written = put(place, PutMode::replace);
  }
  if (!written) return written;
  return read_back(place, &*written);
}

Result<void> SegmentArchiver::begin(const Manifest& manifest) {
  bool first = true;
  auto listed = archive_.store().list(journal_prefix(manifest.journal), [&](std::string_view name) {
    const bool other = !number_of(manifest.journal, name, ".zst");
    first = first && !other;
    return first;
  });
  if (!listed || !first) return listed;
  const ChainMark mark{.journal = manifest.journal,
                       .segment = manifest.segment.number,
                       .sequence = manifest.segment.first_sequence,
                       .chain = manifest.chain_before,
                       .written_ns = now()};
  auto written = storage::put_text(archive_.store(), begin_object(manifest.journal),
                                   mark_text(MarkKind::begin, mark), PutMode::if_absent);
  if (!written && written.error().code == ErrorCode::conflict) return {};
  return written;
}

/// What the journal says of the segment, its seal checked.
Result<Manifest> SegmentArchiver::describe(const journal::SealedSegment& segment) {
  const auto& directory = options_.journal_directory;
  const auto key = journal::VerifyingKey::load(files_, directory);
  if (!key) return std::unexpected(key.error());
  auto text = journal::read_text(files_, directory / journal::seal_name(segment.number));
  if (!text) return std::unexpected(text.error());
  const auto file = files_.open(directory / journal::segment_name(segment.number),
                                journal::OpenMode::read, false);
  if (!file) return std::unexpected(file.error());
  const auto size = (*file)->size();
  if (!size) return std::unexpected(size.error());

  Manifest manifest{.journal = archive_.journal(), .segment = segment};
  manifest.raw_bytes = *size;
  manifest.seal = std::move(*text);
  manifest.key = key->fingerprint();
  manifest.gaps = gaps_for(segment.number, *size);
  const auto seal = check_seal(manifest, *key);
  if (!seal) {
    return fail(seal.error().code,
                fmt::format("segment {:x}: {}", segment.number, seal.error().text));
  }
  manifest.sealed_ns = seal->sealed_ns;
  auto kept =
      storage::put_text(archive_.store(), key_object(manifest.key), key->pem(), PutMode::if_absent);
  if (!kept && kept.error().code != ErrorCode::conflict) return std::unexpected(kept.error());
  return manifest;
}

Result<ArchivedSegment> SegmentArchiver::archive(const journal::SealedSegment& segment) {
  if (auto loaded = load_repairs(); !loaded) return std::unexpected(loaded.error());
  bool manifest_damaged = false;
  const auto already = archived_already(segment, manifest_damaged);
  if (!already) return std::unexpected(already.error());
  if (*already) return ArchivedSegment{.already = true};
  auto manifest = describe(segment);
  if (!manifest) return std::unexpected(manifest.error());
  const auto stored = store({.journal = manifest->journal,
                             .number = segment.number,
                             .bytes = manifest->raw_bytes,
                             .gaps = manifest->gaps});
  if (!stored) return std::unexpected(stored.error());
  if (stored->contents.counts != segment) {
    return fail(ErrorCode::corrupt,
                fmt::format("segment {:x} does not hold what its seal says", segment.number));
  }
  manifest->chain_before = stored->contents.chain_before;
  manifest->first_committed_ns = stored->contents.first_committed_ns;
  manifest->last_committed_ns = stored->contents.last_committed_ns;
  manifest->earliest_received_ns = stored->contents.earliest_received_ns;
  manifest->latest_received_ns = stored->contents.latest_received_ns;
  manifest->archived_ns = now();
  manifest->raw_sha256 = stored->raw_sha256;
  manifest->stored_bytes = stored->stored_bytes;
  manifest->stored_sha256 = stored->stored_sha256;
  if (auto begun = begin(*manifest); !begun) return std::unexpected(begun.error());
  auto done = storage::put_text(
      archive_.store(), manifest_object(manifest->journal, segment.number),
      manifest_text(*manifest), manifest_damaged ? PutMode::replace : PutMode::if_absent);
  if (!done) return std::unexpected(done.error());
  return ArchivedSegment{.raw_bytes = manifest->raw_bytes, .stored_bytes = manifest->stored_bytes};
}

}  // namespace trialwire::archive
