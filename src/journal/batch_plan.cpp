// SPDX-License-Identifier: Apache-2.0
#include "journal/batch_plan.hpp"

namespace trialwire::journal {
namespace {

// Far enough that a line from memory arrives in time, near enough that it is still in the first
// level of cache when it is used.
constexpr std::size_t records_ahead = 32;

void refuse_group(Group& group, ErrorCode code) noexcept {
  group.receipt = {};
  group.receipt.state = Receipt::State::refused;
  group.receipt.error = code;
  group.conflict_count = 0;
  group.sequence_count = 0;
}

/// Notes the sequence of a record that follows a known one, or is one; of those before the first
/// known one, which were all new, too.
void note_sequence(ShardBatch& batch, const Group& group, std::uint64_t sequence) {
  const Receipt& receipt = group.receipt;
  if (batch.sequences.size() == group.sequence_at) {
    for (std::uint32_t i = 0; i < receipt.stored; ++i) {
      batch.sequences.push_back(receipt.first_sequence + i);
    }
  }
  batch.sequences.push_back(sequence);
}

/// Says the sequences one by one only when the first one and their number would not.
void settle_sequences(ShardBatch& batch, Group& group) {
  auto noted = std::span(batch.sequences).subspan(group.sequence_at);
  bool contiguous = true;
  for (std::size_t i = 0; i < noted.size(); ++i) contiguous &= noted[i] == noted[0] + i;
  if (contiguous) batch.sequences.resize(group.sequence_at);
  group.sequence_count = static_cast<std::uint32_t>(batch.sequences.size()) - group.sequence_at;
}

}  // namespace

PrefetchAhead::PrefetchAhead(const ShardBatches& batches, const DedupeIndex& index)
    : batches_(batches), index_(index) {
  advance(records_ahead);
}

void PrefetchAhead::step() noexcept {
  while (batch_ < batches_.size()) {
    const auto& keys = batches_[batch_]->keys;
    if (key_ < keys.size()) {
      index_.prefetch(keys[key_++].identity);
      return;
    }
    ++batch_;
    key_ = 0;
  }
}

void BatchPlan::begin(const Origin& origin, const DedupeIndex& index) {
  origin_ = origin;
  mark_ = index.mark();
  payload_bytes_ = 0;
  records_ = 0;
  duplicates_ = 0;
  conflicts_ = 0;
  runs_.clear();
  groups_.clear();
}

void BatchPlan::add_run(const std::byte* from, std::size_t bytes) {
  payload_bytes_ += bytes;
  if (!runs_.empty() && runs_.back().data() + runs_.back().size() == from) {
    runs_.back() = {runs_.back().data(), runs_.back().size() + bytes};
  } else {
    runs_.emplace_back(from, bytes);
  }
}

void BatchPlan::known(Receipt& receipt, std::uint64_t sequence, std::uint32_t epoch,
                      std::int64_t received_ns) const {
  receipt.first_sequence = sequence;
  receipt.first_record_id = record_id({.journal = origin_.journal,
                                       .epoch = epoch,
                                       .sequence = sequence,
                                       .received_ns = received_ns});
}

bool BatchPlan::decide(ShardBatch& batch, Group& group, std::uint32_t index_in_group,
                       const std::byte* bytes, DedupeIndex& index) {
  using Verdict = DedupeIndex::Verdict;
  Receipt& receipt = group.receipt;
  const std::uint64_t sequence = origin_.next_sequence + records_ + receipt.stored;
  const RecordKey& key = batch.keys[group.first_key + index_in_group];
  auto answer = index.admit({key.identity, key.content_hash, sequence,
                             DedupeEntry::pack(key.received_ns, origin_.epoch)});
  if (!answer) [[unlikely]]
    return false;
  const bool first = receipt.stored + receipt.duplicates == 0;
  if (answer->verdict == Verdict::fresh) [[likely]] {
    if (first) known(receipt, sequence, origin_.epoch, key.received_ns);
    add_run(bytes, key.stride);
    if (receipt.duplicates > 0) [[unlikely]]
      note_sequence(batch, group, sequence);
    ++receipt.stored;
  } else if (answer->verdict == Verdict::duplicate) {
    const DedupeEntry& entry = answer->known;
    if (first) known(receipt, entry.sequence, entry.epoch(), entry.received_ms() * 1'000'000);
    if (group.records > 1) note_sequence(batch, group, entry.sequence);
    ++receipt.duplicates;
  } else {
    batch.conflicts.push_back(index_in_group);
  }
  return true;
}

void BatchPlan::add(ShardBatch& batch, Group& group, DedupeIndex& index, PrefetchAhead& ahead) {
  const std::size_t mark = index.mark();
  const std::size_t runs_before = runs_.size();
  const std::size_t bytes_before = payload_bytes_;
  const ByteView last_run = runs_.empty() ? ByteView() : runs_.back();
  Receipt& receipt = group.receipt;
  receipt = {};
  receipt.synced = origin_.synced;
  group.conflict_at = static_cast<std::uint32_t>(batch.conflicts.size());
  group.sequence_at = static_cast<std::uint32_t>(batch.sequences.size());
  group.sequence_count = 0;
  const std::byte* at = batch.bytes.data() + group.offset;
  for (std::uint32_t i = 0; i < group.records; ++i) {
    const std::byte* bytes = at;
    at += batch.keys[group.first_key + i].stride;
    ahead.advance(1);
    if (!decide(batch, group, i, bytes, index)) {
      batch.conflicts.resize(group.conflict_at);
      refuse_group(group, ErrorCode::unavailable);
      ahead.advance(group.records - i - 1);
      break;
    }
  }
  group.conflict_count = static_cast<std::uint32_t>(batch.conflicts.size()) - group.conflict_at;
  if (group.conflict_count > 0 && group.mode == GroupMode::all_or_none) {
    receipt = {};
    receipt.state = Receipt::State::conflict;
    receipt.synced = origin_.synced;
  }
  if (receipt.state != Receipt::State::durable) [[unlikely]] {
    batch.sequences.resize(group.sequence_at);
    index.undo_to(mark);
    runs_.resize(runs_before);
    if (runs_before > 0) runs_.back() = last_run;
    payload_bytes_ = bytes_before;
  }
  if (receipt.duplicates > 0) [[unlikely]]
    settle_sequences(batch, group);
  records_ += receipt.stored;
  duplicates_ += receipt.duplicates;
  conflicts_ += group.conflict_count;
  groups_.push_back(&group);
}

void BatchPlan::copy_to(BatchBuffer& batch) const {
  for (ByteView run : runs_) batch.append(run);
}

void BatchPlan::refuse(ErrorCode code, DedupeIndex& index) noexcept {
  index.undo_to(mark_);
  for (Group* group : groups_) refuse_group(*group, code);
  payload_bytes_ = 0;
  records_ = 0;
  duplicates_ = 0;
  conflicts_ = 0;
  runs_.clear();
  groups_.clear();
}

}  // namespace trialwire::journal
