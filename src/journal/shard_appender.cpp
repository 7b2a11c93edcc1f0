// SPDX-License-Identifier: Apache-2.0
#include "journal/shard_appender.hpp"

#include <algorithm>

#include "journal/format.hpp"
#include "journal/segment_store.hpp"

namespace trialwire::journal {
namespace {

// Memory kept for reuse by one shard: several turns' worth at full load. What a rare large request
// needed beyond that is given back.
constexpr std::size_t spare_bytes_min = 256 << 10, spare_bytes_max = 4 << 20;
constexpr std::size_t spares_max = 64;

// What waits for a commit has left the caches meanwhile.
constexpr std::size_t waiters_ahead = 6;

void prefetch(const void* waiter) noexcept {
  constexpr std::size_t line = 64, lines = 3;
  for (std::size_t i = 0; i < lines; ++i) {
    __builtin_prefetch(static_cast<const char*>(waiter) + i * line, 1);
  }
}

}  // namespace

ShardAppender::ShardAppender(Context context, std::uint32_t shard)
    : context_(context), shard_(shard), key_(context.store.identity_key()) {
  spares_.reserve(spares_max);
  current_ = spare();
}

ShardAppender::~ShardAppender() = default;

Result<void> ShardAppender::admit(std::size_t bytes) noexcept {
  if (!context_.queue.accepting()) [[unlikely]] {
    return fail(ErrorCode::unavailable, "the journal takes no more records");
  }
  const std::size_t waiting = context_.queue.pending_bytes() + current_->bytes.size();
  if (waiting + bytes > context_.unacknowledged_bytes_max && waiting > 0) [[unlikely]] {
    return fail(ErrorCode::overloaded, "too much waits to be written");
  }
  if (!context_.store.has_room(waiting + bytes)) [[unlikely]] {
    return fail(ErrorCode::disk_full, "the journal has no room");
  }
  return {};
}

void ShardAppender::begin(GroupMode mode) noexcept {
  TW_CHECK(!open_);
  open_ = true;
  mode_ = mode;
  group_offset_ = current_->bytes.size();
  group_records_ = 0;
}

void ShardAppender::add(const Record& record) {
  TW_CHECK(open_);
  std::byte* to = current_->bytes.reserve(encoded_size(record));
  const std::size_t stride = encode_record(record, to);
  current_->bytes.commit(stride);
  const RecordAttributes& a = record.attributes;
  current_->keys.push_back({a.identity, a.content_hash, a.received_ns, stride});
  ++group_records_;
}

bool ShardAppender::fits() const noexcept {
  TW_CHECK(open_);
  return current_->bytes.size() - group_offset_ <= context_.group_bytes_max;
}

void ShardAppender::cancel() noexcept {
  TW_CHECK(open_);
  open_ = false;
  current_->bytes.truncate(group_offset_);
  current_->keys.resize(current_->keys.size() - group_records_);
}

std::uint64_t ShardAppender::end(Waiter& waiter) {
  TW_CHECK(open_);
  open_ = false;
  const std::uint64_t ticket = next_ticket_++;
  if (group_records_ == 0) {
    waiter.committed(Receipt{});
    return ticket;
  }
  const std::size_t bytes = current_->bytes.size() - group_offset_;
  pending_ += bytes;
  Group& group = current_->groups.emplace_back();
  group.waiter = &waiter;
  group.mode = mode_;
  group.records = group_records_;
  group.first_key = current_->keys.size() - group_records_;
  group.offset = group_offset_;
  group.bytes = bytes;
  group.ticket = ticket;
  return ticket;
}

bool ShardAppender::withdraw(std::uint64_t ticket) noexcept {
  for (Group& group : current_->groups) {
    if (group.ticket == ticket && group.waiter != nullptr) {
      group.waiter = nullptr;
      return true;
    }
  }
  return context_.queue.withdraw(shard_, ticket);
}

void ShardAppender::flush() {
  TW_CHECK(!open_);
  if (current_->groups.empty()) return;
  progress_.handed_over += current_->groups.size();
  auto full = std::exchange(current_, spare());
  context_.queue.push(std::move(full));
}

void ShardAppender::deliver() {
  TW_CHECK(done_.empty());
  pending_lately_ = std::max(pending_, pending_lately_ - pending_lately_ / 256);
  context_.queue.take_done(shard_, done_);
  for (auto& batch : done_) {
    std::vector<Group>& groups = batch->groups;
    progress_.settled += groups.size();
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (i + waiters_ahead < groups.size()) prefetch(groups[i + waiters_ahead].waiter);
      Group& group = groups[i];
      pending_ -= group.bytes;
      if (group.waiter == nullptr) continue;
      group.receipt.conflicts = {batch->conflicts.data() + group.conflict_at, group.conflict_count};
      group.receipt.sequences = {batch->sequences.data() + group.sequence_at, group.sequence_count};
      group.waiter->committed(group.receipt);
    }
    recycle(std::move(batch));
  }
  done_.clear();
}

std::unique_ptr<ShardBatch> ShardAppender::spare() {
  if (spares_.empty()) {
    auto batch = std::make_unique<ShardBatch>();
    batch->shard = shard_;
    return batch;
  }
  auto batch = std::move(spares_.back());
  spares_.pop_back();
  spare_bytes_ -= batch->memory();
  return batch;
}

/// Kept is what may be needed again: about as much as waited for its commit lately.
void ShardAppender::recycle(std::unique_ptr<ShardBatch> batch) {
  batch->clear();
  const std::size_t most = std::clamp(2 * pending_lately_, spare_bytes_min, spare_bytes_max);
  if (spares_.size() == spares_max || spare_bytes_ + batch->memory() > most) return;
  spare_bytes_ += batch->memory();
  spares_.push_back(std::move(batch));
}

}  // namespace trialwire::journal
