// SPDX-License-Identifier: Apache-2.0
// The disk path of reading: see SegmentReader in segment_store.hpp for its contract.
#pragma once
#include <memory>
#include <vector>

#include "journal/read_window.hpp"
#include "journal/segment_ledger.hpp"
#include "journal/segment_store.hpp"

namespace trialwire::journal {

struct DiskReaderOptions {
  std::filesystem::path directory;
  Uuid journal;
  bool direct = false;
  std::vector<Gap> gaps;
};

class DiskReader final : public SegmentReader {
 public:
  DiskReader(DiskReaderOptions options, FileLayer& files, const SegmentLedger& ledger,
             std::uint64_t next_sequence);
  Result<const BatchView*> next() override;
  std::uint64_t next_sequence() const noexcept override { return next_sequence_; }

 private:
  /// Positions at the next byte that may be read; false at the durable tail.
  Result<bool> advance();
  Result<void> open_segment(const SegmentLedger::Extent& extent);
  bool skip_gap();
  Result<bool> read_batch();
  std::unexpected<Error> corrupt(std::uint64_t offset, std::string_view text) const;

  DiskReaderOptions options_;
  FileLayer& files_;
  const SegmentLedger& ledger_;
  std::unique_ptr<File> file_;
  ReadWindow window_;
  std::uint64_t number_ = 0;  // 0: no segment open yet
  std::uint64_t offset_ = 0;
  std::size_t gaps_used_ = 0;
  std::uint64_t next_sequence_;
  BatchView view_;
};

}  // namespace trialwire::journal
