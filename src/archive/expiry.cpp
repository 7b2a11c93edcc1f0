// SPDX-License-Identifier: Apache-2.0
#include "archive/expiry.hpp"

#include <algorithm>
#include <string>

#include "telemetry/log.hpp"

namespace trialwire::archive {
namespace {

using telemetry::LogLevel;

bool too_old(const Manifest& manifest, const ExpiryOptions& options) noexcept {
  const std::int64_t since = std::max(manifest.sealed_ns, manifest.archived_ns);
  return options.now_ns - since > options.keep.count();
}

Result<void> remove_objects(const Archive& archive, std::uint64_t number) {
  // The manifest first: without it nobody looks for the segment.
  auto removed = archive.store().remove(manifest_object(archive.journal(), number));
  if (removed) removed = archive.store().remove(segment_object(archive.journal(), number));
  return removed;
}

/// What an interrupted removal left: everything through the mark is to be gone.
Result<void> finish(const Archive& archive, std::uint64_t through) {
  std::vector<std::uint64_t> left;
  auto listed = archive.store().list(journal_prefix(archive.journal()), [&](std::string_view name) {
    auto number = number_of(archive.journal(), name);
    if (!number) number = number_of(archive.journal(), name, ".zst");
    if (number && *number <= through) left.push_back(*number);
    return !number || *number <= through;
  });
  if (!listed) return listed;
  for (const std::uint64_t number : left) {
    if (auto removed = remove_objects(archive, number); !removed) return removed;
  }
  return {};
}

Result<void> remove(const Archive& archive, const Manifest& oldest, const ExpiryOptions& options) {
  const ChainMark mark{.journal = archive.journal(),
                       .segment = oldest.segment.number,
                       .sequence = oldest.segment.next_sequence,
                       .chain = oldest.segment.chain_head,
                       .written_ns = options.now_ns};
  auto written = storage::put_text(archive.store(), expired_object(archive.journal()),
                                   mark_text(MarkKind::expired, mark), storage::PutMode::replace);
  if (!written) return written;
  if (auto removed = remove_objects(archive, oldest.segment.number); !removed) return removed;
  telemetry::log(LogLevel::info, "archive", "a segment older than archive.keep was removed",
                 {{"segment", oldest.segment.number},
                  {"first_sequence", oldest.segment.first_sequence},
                  {"next_sequence", oldest.segment.next_sequence}});
  return {};
}

}  // namespace

Result<std::uint64_t> expire(const Archive& archive, const ExpiryOptions& options) {
  const auto mark = archive.mark(MarkKind::expired);
  if (!mark) return std::unexpected(mark.error());
  if (*mark) {
    if (auto finished = finish(archive, (*mark)->segment); !finished) {
      return std::unexpected(finished.error());
    }
  }
  const auto numbers = archive.numbers();
  if (!numbers) return std::unexpected(numbers.error());
  if (numbers->empty()) return 0;
  std::uint64_t removed = 0;
  for (const std::uint64_t number : *numbers) {
    if (number >= options.segments_before) break;
    const auto oldest = archive.manifest(number);
    if (!oldest) return std::unexpected(oldest.error());
    if (!too_old(*oldest, options)) break;
    const auto newest = archive.manifest(numbers->back());
    if (!newest) return std::unexpected(newest.error());
    if (too_old(*newest, options)) {
      telemetry::log(LogLevel::warn, "archive",
                     "nothing is removed: even the newest segment is older than archive.keep");
      break;
    }
    if (auto done = remove(archive, *oldest, options); !done) return std::unexpected(done.error());
    ++removed;
  }
  return removed;
}

}  // namespace trialwire::archive
