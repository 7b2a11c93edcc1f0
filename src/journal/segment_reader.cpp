// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_reader.hpp"

#include <fmt/format.h>

namespace trialwire::journal {
namespace {
constexpr std::size_t read_ahead = 256 << 10;
// While looking for the first batch, larger ones than this are passed by their heads alone.
constexpr std::uint64_t hop_from_bytes = 64 << 10;
}  // namespace

DiskReader::DiskReader(DiskReaderOptions options, FileLayer& files, const SegmentLedger& ledger,
                       std::uint64_t next_sequence)
    : options_(std::move(options)), files_(files), ledger_(ledger), next_sequence_(next_sequence) {}

std::unexpected<Error> DiskReader::corrupt(std::uint64_t offset, std::string_view text) const {
  return fail(ErrorCode::corrupt,
              fmt::format("{}: offset {}: {}",
                          (options_.directory / segment_name(number_)).native(), offset, text));
}

Result<void> DiskReader::open_segment(const SegmentLedger::Extent& extent) {
  auto file = files_.open(options_.directory / segment_name(extent.number), OpenMode::read,
                          options_.direct);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  number_ = extent.number;
  offset_ = 0;
  gaps_used_ = 0;
  window_.open(*file_, extent.end_offset);
  return {};
}

bool DiskReader::skip_gap() {
  for (std::size_t i = gaps_used_; i < options_.gaps.size(); ++i) {
    const Gap& gap = options_.gaps[i];
    if (gap.segment != number_ || gap.offset != offset_) continue;
    gaps_used_ = i + 1;
    offset_ += gap.bytes;
    return true;
  }
  return false;
}

Result<bool> DiskReader::advance() {
  if (number_ == 0) {
    const auto first = ledger_.containing(next_sequence_);
    if (!first) return false;
    if (auto opened = open_segment(*first); !opened) return std::unexpected(opened.error());
  }
  while (true) {
    if (skip_gap()) continue;
    if (offset_ < window_.limit()) return true;
    // More of this segment may have become durable; the next one only when this one is done.
    const auto extent = ledger_.extent(number_);
    if (!extent) {
      return fail(ErrorCode::not_found,
                  fmt::format("{} was deleted while it was read",
                              (options_.directory / segment_name(number_)).native()));
    }
    if (extent->end_offset > window_.limit()) {
      window_.set_limit(extent->end_offset);
      continue;
    }
    const auto next = ledger_.after(number_);
    if (!next) return false;
    // Between the two questions the segment may have grown, but not after there was a next one.
    const auto again = ledger_.extent(number_);
    if (again && again->end_offset > window_.limit()) continue;
    if (auto opened = open_segment(*next); !opened) return std::unexpected(opened.error());
  }
}

Result<const BatchView*> DiskReader::next() {
  while (true) {
    const auto more = advance();
    if (!more) return std::unexpected(more.error());
    if (!*more) return nullptr;
    const auto wanted = read_batch();
    if (!wanted) return std::unexpected(wanted.error());
    if (*wanted) return &view_;
  }
}

/// True when `view_` holds records that are wanted; false when the batch was passed by.
Result<bool> DiskReader::read_batch() {
  const auto block = window_.view(offset_, block_bytes, read_ahead);
  if (!block) return std::unexpected(block.error());
  BatchHead head;
  if (parse_head(*block, head) != HeadState::valid) return corrupt(offset_, "no batch begins here");
  if (head.journal != options_.journal || head.segment != number_ || head.offset != offset_ ||
      head.bytes() > window_.limit() - offset_) {
    return corrupt(offset_, "the batch was not written for this place");
  }
  if (head.next_sequence() <= next_sequence_) {
    offset_ += head.bytes();
    return false;
  }
  const bool large = head.bytes() > hop_from_bytes;
  const auto batch = window_.view(offset_, head.bytes(), large ? head.bytes() : read_ahead);
  if (!batch) return std::unexpected(batch.error());
  const BatchCheck check = check_batch(head, *batch);
  if (check.state != BatchCheck::State::intact) {
    return corrupt(offset_ + check.at, fmt::format("{} does not match", check.what));
  }
  view_.head = head;
  view_.payload = batch->subspan(head.header_bytes, head.payload_bytes);
  view_.from_sequence = std::max(next_sequence_, head.first_sequence);
  next_sequence_ = head.next_sequence();
  offset_ += head.bytes();
  return true;
}

bool decode_batch(const BatchView& view, std::vector<Record>& into) {
  ByteView left = view.payload;
  std::uint64_t sequence = view.head.first_sequence;
  while (!left.empty()) {
    Record record;
    const std::size_t stride = decode_record(left, record);
    if (stride == 0) return false;
    left = left.subspan(stride);
    record.journal = view.head.journal;
    record.sequence = sequence++;
    record.epoch = view.head.epoch;
    if (record.sequence >= view.from_sequence) into.push_back(record);
  }
  return sequence == view.head.next_sequence();
}

}  // namespace trialwire::journal
