// SPDX-License-Identifier: Apache-2.0
// A consumer's way through the journal: from the recent batches while it keeps up, else from the
// segments. Changes between the two by itself, at batch boundaries.
#pragma once
#include "journal/reader.hpp"
#include "journal/recent_batches.hpp"
#include "journal/segment_store.hpp"

namespace trialwire::journal {

class JournalReader final : public Reader {
 public:
  /// Both outlive it.
  struct Sources {
    SegmentStore& store;
    RecentBatches& recent;
  };
  JournalReader(Sources sources, const Cursor& from);
  ~JournalReader() override;

  Result<Batch*> next(std::chrono::milliseconds wait, std::stop_token stop) override;
  Cursor position() const override { return {journal_, next_sequence_}; }
  Result<void> seek(const Cursor& cursor) override;

 private:
  void release() noexcept;
  Result<Batch*> from_memory();
  Result<Batch*> from_disk();
  Result<Batch*> pass_gap();
  Result<Batch*> decode(const BatchView& view);

  Sources sources_;
  const Uuid journal_;
  std::uint64_t next_sequence_;
  Batch batch_;
  RecentBatch* pinned_ = nullptr;
  std::unique_ptr<SegmentReader> disk_;
};

}  // namespace trialwire::journal
