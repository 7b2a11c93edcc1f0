// SPDX-License-Identifier: Apache-2.0
#include "journal/journal_reader.hpp"

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::journal {

JournalReader::JournalReader(Sources sources, const Cursor& from)
    : sources_(sources), journal_(from.journal), next_sequence_(from.next_sequence) {}

JournalReader::~JournalReader() {
  release();
}

void JournalReader::release() noexcept {
  batch_.records.clear();
  batch_.lost_from = batch_.lost_to = 0;
  if (pinned_ != nullptr) sources_.recent.unpin(std::exchange(pinned_, nullptr));
}

Result<Batch*> JournalReader::next(std::chrono::milliseconds wait, std::stop_token stop) {
  release();
  batch_.first_sequence = next_sequence_;
  if (!sources_.recent.wait_for(next_sequence_, wait, std::move(stop))) return &batch_;
  pinned_ = sources_.recent.pin(next_sequence_);
  return pinned_ != nullptr ? from_memory() : from_disk();
}

Result<Batch*> JournalReader::from_memory() {
  disk_.reset();
  BatchView view;
  view.head.journal = journal_;
  view.head.epoch = pinned_->epoch;
  view.head.first_sequence = pinned_->first_sequence;
  view.head.records = pinned_->buffer.records();
  view.payload = pinned_->buffer.payload();
  return decode(view);
}

Result<Batch*> JournalReader::from_disk() {
  if (disk_ == nullptr) {
    auto reader = sources_.store.read(next_sequence_);
    if (!reader) return std::unexpected(reader.error());
    disk_ = std::move(*reader);
  }
  auto view = disk_->next();
  if (!view) {
    disk_.reset();
    return std::unexpected(view.error());
  }
  return *view != nullptr ? decode(**view) : pass_gap();
}

/// What `wait_for` says is durable is in the segments, since it is published after the store's
/// tail, or it is in a gap with nothing behind it.
Result<Batch*> JournalReader::pass_gap() {
  const std::uint64_t behind = sources_.store.behind_gap(next_sequence_);
  TW_CHECK(behind > next_sequence_);
  batch_.lost_from = next_sequence_;
  batch_.lost_to = behind;
  next_sequence_ = behind;
  return &batch_;
}

Result<Batch*> JournalReader::decode(const BatchView& view) {
  BatchView wanted = view;
  wanted.from_sequence = next_sequence_;
  if (!decode_batch(wanted, batch_.records)) {
    batch_.records.clear();
    return fail(ErrorCode::corrupt,
                fmt::format("segment {}: offset {}: the batch holds no sequence of records",
                            view.head.segment, view.head.offset));
  }
  if (view.head.first_sequence > next_sequence_) {
    batch_.lost_from = next_sequence_;
    batch_.lost_to = view.head.first_sequence;
  }
  next_sequence_ = view.head.next_sequence();
  return &batch_;
}

Result<void> JournalReader::seek(const Cursor& cursor) {
  if (auto valid = sources_.store.check_cursor(cursor); !valid) return valid;
  release();
  disk_.reset();
  next_sequence_ = cursor.next_sequence;
  return {};
}

}  // namespace trialwire::journal
