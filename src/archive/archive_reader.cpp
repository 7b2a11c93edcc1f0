// SPDX-License-Identifier: Apache-2.0
#include "archive/archive_reader.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace trialwire::archive {

bool lost_before(const Manifest& manifest) noexcept {
  return std::ranges::any_of(manifest.gaps, [&](const journal::Gap& gap) {
    return gap.segment + 1 == manifest.segment.number && gap.offset == 0;
  });
}

/// The first segment that ends behind the wanted sequence. By halves: a manifest a step.
Result<void> ArchiveReader::find_first() {
  std::size_t low = 0;
  std::size_t high = numbers_.size();
  while (low < high) {
    const std::size_t middle = low + (high - low) / 2;
    const auto manifest = archive_.manifest(numbers_[middle]);
    if (!manifest) return std::unexpected(manifest.error());
    if (manifest->segment.next_sequence > next_sequence_) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  at_ = low;
  found_ = true;
  return {};
}

/// False behind the last one.
Result<bool> ArchiveReader::open_next() {
  if (at_ == numbers_.size()) return false;
  const auto manifest = archive_.manifest(numbers_[at_]);
  if (!manifest) return std::unexpected(manifest.error());
  if (manifest->segment.first_sequence > next_sequence_ && manifest->gaps.empty()) {
    return fail(ErrorCode::not_found,
                fmt::format("sequences {} to {} of journal {} are not in {}", next_sequence_,
                            manifest->segment.first_sequence - 1, archive_.journal().text(),
                            archive_.store().url()));
  }
  auto opened = archive_.open(*manifest);
  if (!opened) return std::unexpected(opened.error());
  open_ = std::move(*opened);
  open_name_ = archive_.where(segment_object(archive_.journal(), numbers_[at_]));
  ++at_;
  return true;
}

Result<const journal::BatchView*> ArchiveReader::next() {
  if (!found_) {
    if (auto found = find_first(); !found) return std::unexpected(found.error());
  }
  while (true) {
    if (open_ == nullptr) {
      const auto opened = open_next();
      if (!opened) return std::unexpected(opened.error());
      if (!*opened) return nullptr;
    }
    const auto batch = open_->next();
    if (!batch) {
      return fail(batch.error().code, fmt::format("{}: {}", open_name_, batch.error().text));
    }
    if (*batch == nullptr) {
      open_.reset();
      continue;
    }
    if ((*batch)->head.next_sequence() <= next_sequence_) continue;
    view_ = **batch;
    view_.from_sequence = std::max(next_sequence_, view_.head.first_sequence);
    next_sequence_ = view_.head.next_sequence();
    return &view_;
  }
}

Result<std::vector<std::uint64_t>> newest_run(const Archive& archive,
                                              std::vector<std::uint64_t> numbers) {
  std::size_t first = numbers.empty() ? 0 : numbers.size() - 1;
  while (first > 0) {
    if (numbers[first - 1] + 1 != numbers[first]) {
      const auto manifest = archive.manifest(numbers[first]);
      if (!manifest) return std::unexpected(manifest.error());
      if (!lost_before(*manifest)) break;
    }
    --first;
  }
  numbers.erase(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(first));
  return numbers;
}

Result<std::uint64_t> sequence_at(const Archive& archive, const std::vector<std::uint64_t>& numbers,
                                  std::int64_t unix_ns) {
  constexpr std::int64_t cut_off_ns = 1'000'000;  // manifests have milliseconds
  std::uint64_t behind = 1;
  for (const std::uint64_t number : numbers) {
    const auto manifest = archive.manifest(number);
    if (!manifest) return std::unexpected(manifest.error());
    behind = manifest->segment.next_sequence;
    if (manifest->latest_received_ns + cut_off_ns <= unix_ns) continue;
    ArchiveReader reader(archive, {number}, manifest->segment.first_sequence);
    std::vector<journal::Record> records;
    while (true) {
      const auto batch = reader.next();
      if (!batch) return std::unexpected(batch.error());
      if (*batch == nullptr) break;
      records.clear();
      if (!journal::decode_batch(**batch, records)) break;
      for (const journal::Record& record : records) {
        if (record.attributes.received_ns >= unix_ns) return record.sequence;
      }
    }
  }
  return behind;
}

}  // namespace trialwire::archive
