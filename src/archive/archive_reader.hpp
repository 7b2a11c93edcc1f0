// SPDX-License-Identifier: Apache-2.0
// Records out of the archive in order of their sequence, from one segment into the next. One
// thread. Memory: a batch, zstd's window, eight bytes an archived segment. What is handed out was
// checked as BatchStream says.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "archive/archive.hpp"
#include "journal/segment_store.hpp"

namespace trialwire::archive {

class ArchiveReader final : public journal::SegmentReader {
 public:
  /// `numbers`: as Archive::numbers says.
  ArchiveReader(Archive archive, std::vector<std::uint64_t> numbers, std::uint64_t from) noexcept
      : archive_(archive), numbers_(std::move(numbers)), next_sequence_(from) {}

  /// The next batch with records, null behind the last archived segment. Errors: not_found, when
  /// sequences are missing in the archive (they are named); corrupt; the store's.
  Result<const journal::BatchView*> next() override;
  std::uint64_t next_sequence() const noexcept override { return next_sequence_; }

 private:
  Result<void> find_first();
  Result<bool> open_next();

  Archive archive_;
  std::vector<std::uint64_t> numbers_;
  std::size_t at_ = 0;  // of `numbers_`: the segment to be opened next
  bool found_ = false;
  std::unique_ptr<BatchStream> open_;
  std::string open_name_;
  std::uint64_t next_sequence_;
  journal::BatchView view_;
};

/// The segments at the end of `numbers` (ascending) between which none is missing; those that a
/// repair lost whole are not missing.
Result<std::vector<std::uint64_t>> newest_run(const Archive& archive,
                                              std::vector<std::uint64_t> numbers);

/// Does a repair explain that the segment before this one is not there?
bool lost_before(const Manifest& manifest) noexcept;

/// The first sequence received at `unix_ns` or later, by the manifests and then in the segment;
/// behind the last one when there is none. Times of receipt may go back: the first in the order of
/// sequences counts.
Result<std::uint64_t> sequence_at(const Archive& archive, const std::vector<std::uint64_t>& numbers,
                                  std::int64_t unix_ns);

}  // namespace trialwire::archive
