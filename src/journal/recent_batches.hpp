// SPDX-License-Identifier: Apache-2.0
// The last committed batches in memory, for readers that keep up, and where readers wait for the
// next one. A batch is built in the memory that is kept here, so nothing is copied. The committer
// never waits for a reader: a batch that is being read when its turn to go comes goes when the
// reader is done with it. A reader may be descheduled at any point, also inside the lock, and then
// the committer waits: under the lock pointers move, and no memory is taken or given back. Memory:
// the limit, the batch being built, one batch a reader.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <vector>

#include "journal/format.hpp"

namespace trialwire::journal {

struct RecentBatch {
  explicit RecentBatch(std::size_t capacity) : buffer(capacity) {}
  BatchBuffer buffer;
  std::uint64_t first_sequence = 0;
  std::uint32_t epoch = 0;

 private:
  friend class RecentBatches;
  unsigned readers = 0;
  bool evicted = false;
  std::unique_ptr<RecentBatch> next_dropped;
};

class RecentBatches {
 public:
  /// The journal's durable end is at `next_sequence`.
  RecentBatches(std::size_t bytes_max, std::uint64_t next_sequence);

  // Committer:
  /// Memory for a batch of so many payload bytes. Reused when there is some that fits.
  std::unique_ptr<RecentBatch> acquire(std::size_t payload_bytes);
  /// The batch is durable: readers may see it.
  void publish(std::unique_ptr<RecentBatch> batch);
  /// The batch was not written.
  void give_back(std::unique_ptr<RecentBatch> batch);

  // Readers, any thread:
  /// The batch that holds `sequence`, kept until `unpin`; null when it is not in memory.
  RecentBatch* pin(std::uint64_t sequence);
  void unpin(RecentBatch* batch);
  /// Waits until `sequence` is durable; false when it is not after `wait`, or on stop.
  bool wait_for(std::uint64_t sequence, std::chrono::milliseconds wait, std::stop_token stop);
  std::uint64_t next_sequence() const;
  std::size_t bytes() const;

 private:
  using Batch = std::unique_ptr<RecentBatch>;
  static std::size_t cost(const RecentBatch& batch) noexcept;
  // What is to go, as a list: destroyed by the caller once it has given the lock back.
  void evict_for(std::size_t bytes, Batch& dropped);
  void keep_free(Batch batch, Batch& dropped);
  Batch& at(std::size_t i) noexcept { return ring_[(first_ + i) & (ring_.size() - 1)]; }
  void push(Batch batch);

  const std::size_t bytes_max_;
  mutable std::mutex mutex_;
  std::condition_variable_any grown_;
  unsigned waiting_ = 0;
  std::uint64_t next_sequence_;
  std::vector<Batch> ring_;  // power of two, oldest at first_
  std::size_t first_ = 0, count_ = 0;
  std::size_t bytes_ = 0;
  std::vector<Batch> being_read_;  // evicted while a reader had them
  std::vector<Batch> free_;
  std::size_t free_bytes_ = 0;
};

}  // namespace trialwire::journal
