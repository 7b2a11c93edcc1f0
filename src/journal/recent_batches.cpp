// SPDX-License-Identifier: Apache-2.0
#include "journal/recent_batches.hpp"

#include <algorithm>
#include <bit>

#include "base/check.hpp"

namespace trialwire::journal {
namespace {

constexpr std::size_t overhead = 1024;  // of a batch beside its buffer: hash state, allocator
constexpr std::size_t free_bytes_max = 2 << 20;
constexpr std::size_t small = 64 << 10;

/// Rounded up to a quarter of its power of two, so that batches of like size share memory.
std::size_t rounded(std::size_t bytes) noexcept {
  const std::size_t step = std::max<std::size_t>(std::bit_floor(bytes) / 4, block_bytes);
  return (bytes + step - 1) / step * step;
}

std::size_t batch_bytes(std::size_t payload_bytes) noexcept {
  return std::size_t{layout_for(payload_bytes).blocks} * block_bytes;
}

}  // namespace

RecentBatches::RecentBatches(std::size_t bytes_max, std::uint64_t next_sequence)
    : bytes_max_(bytes_max), next_sequence_(next_sequence), ring_(64) {
  free_.reserve(free_bytes_max / (block_bytes + overhead) + 2);
  being_read_.reserve(16);
}

std::size_t RecentBatches::cost(const RecentBatch& batch) noexcept {
  return batch.buffer.capacity() + overhead;
}

void RecentBatches::keep_free(Batch batch, Batch& dropped) {
  batch->evicted = false;
  free_bytes_ += cost(*batch);
  free_.push_back(std::move(batch));
  // The one that was free the longest is the least likely to fit what comes.
  while (free_bytes_ > free_bytes_max && free_.size() > 1) {
    Batch oldest = std::move(free_.front());
    free_.erase(free_.begin());
    free_bytes_ -= cost(*oldest);
    oldest->next_dropped = std::move(dropped);
    dropped = std::move(oldest);
  }
}

void RecentBatches::evict_for(std::size_t bytes, Batch& dropped) {
  // What is free for reuse counts: the setting is what all of it takes.
  const std::size_t spare = std::min(free_bytes_max, bytes_max_ / 4);
  while (count_ > 0 && bytes_ + spare + bytes > bytes_max_) {
    Batch oldest = std::move(at(0));
    first_ = (first_ + 1) & (ring_.size() - 1);
    --count_;
    bytes_ -= cost(*oldest);
    if (oldest->readers > 0) {
      oldest->evicted = true;
      being_read_.push_back(std::move(oldest));
    } else {
      keep_free(std::move(oldest), dropped);
    }
  }
}

RecentBatches::Batch RecentBatches::acquire(std::size_t payload_bytes) {
  const std::size_t need = batch_bytes(payload_bytes);
  Batch dropped;
  {
    std::lock_guard lock(mutex_);
    evict_for(need + overhead, dropped);
    const std::size_t most = std::max(4 * need, small);
    auto best = free_.end();
    for (auto it = free_.begin(); it != free_.end(); ++it) {
      const std::size_t has = (*it)->buffer.capacity();
      if (has < need || has > most) continue;
      if (best == free_.end() || has < (*best)->buffer.capacity()) best = it;
    }
    if (best != free_.end()) {
      Batch batch = std::move(*best);
      free_.erase(best);
      free_bytes_ -= cost(*batch);
      return batch;
    }
  }
  return std::make_unique<RecentBatch>(rounded(need));
}

void RecentBatches::give_back(Batch batch) {
  Batch dropped;
  std::lock_guard lock(mutex_);
  keep_free(std::move(batch), dropped);
}

void RecentBatches::push(Batch batch) {
  if (count_ == ring_.size()) {
    std::vector<Batch> larger(ring_.size() * 2);
    for (std::size_t i = 0; i < count_; ++i) larger[i] = std::move(at(i));
    ring_ = std::move(larger);
    first_ = 0;
  }
  ++count_;
  at(count_ - 1) = std::move(batch);
}

void RecentBatches::publish(Batch batch) {
  bool wake = false;
  Batch dropped;
  {
    std::lock_guard lock(mutex_);
    TW_CHECK(batch->first_sequence == next_sequence_);
    next_sequence_ += batch->buffer.records();
    wake = waiting_ > 0;
    if (bytes_max_ == 0) {
      keep_free(std::move(batch), dropped);
    } else {
      evict_for(cost(*batch), dropped);
      bytes_ += cost(*batch);
      push(std::move(batch));
    }
  }
  if (wake) grown_.notify_all();
}

RecentBatch* RecentBatches::pin(std::uint64_t sequence) {
  std::lock_guard lock(mutex_);
  if (count_ == 0 || sequence >= next_sequence_ || sequence < at(0)->first_sequence) return nullptr;
  std::size_t low = 0;
  for (std::size_t high = count_; high - low > 1;) {
    const std::size_t middle = (low + high) / 2;
    (at(middle)->first_sequence <= sequence ? low : high) = middle;
  }
  RecentBatch* batch = at(low).get();
  ++batch->readers;
  return batch;
}

void RecentBatches::unpin(RecentBatch* batch) {
  Batch dropped;
  std::lock_guard lock(mutex_);
  if (--batch->readers > 0 || !batch->evicted) return;
  auto held = std::ranges::find(being_read_, batch, &Batch::get);
  TW_CHECK(held != being_read_.end());
  Batch mine = std::move(*held);
  being_read_.erase(held);
  keep_free(std::move(mine), dropped);
}

bool RecentBatches::wait_for(std::uint64_t sequence, std::chrono::milliseconds wait,
                             std::stop_token stop) {
  std::unique_lock lock(mutex_);
  auto there = [&] { return next_sequence_ > sequence; };
  if (there() || wait.count() <= 0) return there();
  ++waiting_;
  grown_.wait_for(lock, std::move(stop), wait, there);
  --waiting_;
  return there();
}

std::uint64_t RecentBatches::next_sequence() const {
  std::lock_guard lock(mutex_);
  return next_sequence_;
}

std::size_t RecentBatches::bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace trialwire::journal
