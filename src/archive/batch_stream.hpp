// SPDX-License-Identifier: Apache-2.0
// The batches of one sealed segment, out of a stream of its bytes: every block, every hash and the
// chain through the segment are checked before a batch is handed out. Used by one thread. Memory:
// the largest batch that comes.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "journal/format.hpp"
#include "journal/journal_files.hpp"
#include "journal/sealed_segment.hpp"
#include "journal/segment_store.hpp"
#include "storage/objects/object_store.hpp"

namespace trialwire::archive {

/// Which segment the bytes should be.
struct SegmentPlace {
  Uuid journal;
  std::uint64_t number = 0;
  std::uint64_t bytes = 0;         // of its file
  std::vector<journal::Gap> gaps;  // what repairs took away, of all segments
};

/// What a whole segment turned out to hold.
struct SegmentContents {
  journal::SealedSegment counts;
  Sha256 chain_before{};  // what the first batch repeats; zeros when a gap begins the segment
  bool begins_with_gap = false;
  std::int64_t first_committed_ns = 0;
  std::int64_t last_committed_ns = 0;
  std::int64_t earliest_received_ns = 0;
  std::int64_t latest_received_ns = 0;
};

class BatchStream {
 public:
  BatchStream(std::unique_ptr<storage::ByteStream> bytes, SegmentPlace place);

  /// The next batch, also one without records; null at the end, when the rest of the segment was
  /// found to be zeros and the stream to end there. The view is valid until the next call. Errors:
  /// corrupt, with the offset in the segment; the stream's own.
  Result<const journal::BatchView*> next();

  /// After `next` returned null: of the whole segment.
  const SegmentContents& contents() const noexcept { return contents_; }

 private:
  Result<void> read_exactly(MutableBytes into);
  Result<bool> skip_gap();
  Result<bool> load_batch();
  Result<void> read_zeros(std::uint64_t bytes);
  Result<void> check_end();
  bool fits(const journal::BatchHead& head) const noexcept;
  Result<void> count(const journal::BatchHead& head, ByteView batch);
  std::unexpected<Error> corrupt(std::uint64_t offset, std::string_view text) const;

  std::unique_ptr<storage::ByteStream> bytes_;
  SegmentPlace place_;
  std::uint64_t offset_ = 0;
  std::size_t gaps_used_ = 0;
  bool ended_ = false;
  bool chain_known_ = false;
  Sha256 chain_{};  // of the last header
  std::uint64_t next_sequence_ = 0;
  std::uint32_t epoch_ = 0;
  std::vector<std::byte> batch_;
  journal::BatchView view_;
  SegmentContents contents_;
};

}  // namespace trialwire::archive
