// SPDX-License-Identifier: Apache-2.0
#include "archive/batch_stream.hpp"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

namespace trialwire::archive {

using journal::BatchHead;
using journal::block_bytes;

BatchStream::BatchStream(std::unique_ptr<storage::ByteStream> bytes, SegmentPlace place)
    : bytes_(std::move(bytes)), place_(std::move(place)) {
  contents_.counts.number = place_.number;
}

std::unexpected<Error> BatchStream::corrupt(std::uint64_t offset, std::string_view text) const {
  return fail(ErrorCode::corrupt,
              fmt::format("segment {:x}: offset {}: {}", place_.number, offset, text));
}

Result<void> BatchStream::read_exactly(MutableBytes into) {
  const auto read = bytes_->read(into);
  if (!read) return std::unexpected(read.error());
  if (*read < into.size()) {
    return corrupt(offset_ + *read,
                   fmt::format("it ends here, {} bytes were to be there", place_.bytes));
  }
  return {};
}

Result<const journal::BatchView*> BatchStream::next() {
  while (!ended_) {
    const auto skipped = skip_gap();
    if (!skipped) return std::unexpected(skipped.error());
    if (*skipped) continue;
    if (offset_ < place_.bytes) {
      const auto loaded = load_batch();
      if (!loaded) return std::unexpected(loaded.error());
      if (*loaded) return &view_;
    }
    if (auto ended = check_end(); !ended) return std::unexpected(ended.error());
    ended_ = true;
  }
  return nullptr;
}

Result<bool> BatchStream::skip_gap() {
  for (std::size_t i = gaps_used_; i < place_.gaps.size(); ++i) {
    const journal::Gap& gap = place_.gaps[i];
    if (gap.segment != place_.number || gap.offset != offset_) continue;
    gaps_used_ = i + 1;
    if (gap.bytes > place_.bytes - offset_) return corrupt(offset_, "a gap reaches over its end");
    if (auto zeros = read_zeros(gap.bytes); !zeros) return std::unexpected(zeros.error());
    if (gap.offset == 0) contents_.begins_with_gap = true;
    // The chain goes on as the repair says; what the lost batches would have said is not known.
    chain_ = gap.resume_previous;
    next_sequence_ = gap.resume_sequence;
    epoch_ = 0;
    chain_known_ = true;
    return true;
  }
  return false;
}

Result<void> BatchStream::read_zeros(std::uint64_t bytes) {
  constexpr std::size_t stretch = 256 << 10;
  batch_.resize(std::max(batch_.size(), stretch));
  while (bytes > 0) {
    const MutableBytes some(batch_.data(), std::min<std::uint64_t>(bytes, stretch));
    if (auto read = read_exactly(some); !read) return read;
    if (!journal::all_zero(some)) return corrupt(offset_, "data where only zeros were to be");
    offset_ += some.size();
    bytes -= some.size();
  }
  return {};
}

bool BatchStream::fits(const BatchHead& head) const noexcept {
  return !chain_known_ ||
         (head.previous == chain_ && head.first_sequence == next_sequence_ && head.epoch >= epoch_);
}

/// False: zeros, the batches end here.
Result<bool> BatchStream::load_batch() {
  batch_.resize(std::max(batch_.size(), block_bytes));
  if (auto read = read_exactly(MutableBytes(batch_).first(block_bytes)); !read) {
    return std::unexpected(read.error());
  }
  BatchHead head;
  switch (journal::parse_head(ByteView(batch_).first(block_bytes), head)) {
    case journal::HeadState::valid:
      break;
    case journal::HeadState::zero:
      if (!journal::all_zero(ByteView(batch_).first(block_bytes))) {
        return corrupt(offset_, "no batch begins here");
      }
      offset_ += block_bytes;
      return false;
    default:
      return corrupt(offset_, "no batch begins here");
  }
  if (head.journal != place_.journal || head.segment != place_.number || head.offset != offset_ ||
      head.bytes() > place_.bytes - offset_) {
    return corrupt(offset_, "the batch was not written for this place");
  }
  batch_.resize(std::max<std::size_t>(batch_.size(), head.bytes()));
  const MutableBytes rest(batch_.data() + block_bytes, head.bytes() - block_bytes);
  if (auto read = read_exactly(rest); !read) return std::unexpected(read.error());
  const ByteView batch = ByteView(batch_).first(head.bytes());
  const journal::BatchCheck check = journal::check_batch(head, batch);
  if (check.state != journal::BatchCheck::State::intact) {
    return corrupt(offset_ + check.at, fmt::format("{} does not match", check.what));
  }
  if (!fits(head)) return corrupt(offset_, "the batch does not go on with the chain before it");
  if (auto counted = count(head, batch); !counted) return std::unexpected(counted.error());
  chain_ = contents_.counts.chain_head = journal::header_hash(batch.first(head.header_bytes));
  next_sequence_ = head.next_sequence();
  epoch_ = head.epoch;
  chain_known_ = true;
  offset_ += head.bytes();
  view_ = {head, journal::payload_of(head, batch), head.first_sequence};
  return true;
}

Result<void> BatchStream::count(const BatchHead& head, ByteView batch) {
  SegmentContents& into = contents_;
  if (into.counts.batches == 0) {
    into.counts.first_sequence = head.first_sequence;
    if (!into.begins_with_gap) into.chain_before = head.previous;
    into.first_committed_ns = head.committed_ns;
  }
  ByteView left = journal::payload_of(head, batch);
  std::uint32_t records = 0;
  while (!left.empty()) {
    journal::Record record;
    const std::size_t stride = journal::decode_record(left, record);
    if (stride == 0) return corrupt(offset_, "a record of the batch cannot be decoded");
    left = left.subspan(stride);
    const std::int64_t received = record.attributes.received_ns;
    const bool first = into.counts.records + records == 0;
    into.earliest_received_ns = first ? received : std::min(into.earliest_received_ns, received);
    into.latest_received_ns = first ? received : std::max(into.latest_received_ns, received);
    ++records;
  }
  if (records != head.records) return corrupt(offset_, "the batch does not hold its records");
  into.counts.batches += 1;
  into.counts.records += records;
  into.counts.payload_bytes += head.payload_bytes;
  into.last_committed_ns = head.committed_ns;
  return {};
}

Result<void> BatchStream::check_end() {
  if (auto zeros = read_zeros(place_.bytes - offset_); !zeros) return zeros;
  std::byte more{};
  const auto read = bytes_->read(MutableBytes(&more, 1));
  if (!read) return std::unexpected(read.error());
  if (*read != 0) return corrupt(offset_, "it goes on behind its end");
  // After a gap at the end the chain is the repair's.
  contents_.counts.next_sequence = next_sequence_;
  contents_.counts.chain_head = chain_;
  if (contents_.counts.batches == 0) contents_.counts.first_sequence = next_sequence_;
  return {};
}

}  // namespace trialwire::archive
