// SPDX-License-Identifier: Apache-2.0
// Batches that are durable here and whose receipts wait until another machine has their records:
// first in, first out, each with the sequence that has to be reached. Used under its owner's lock.
// Bounded by Options::unacknowledged_bytes_max, of which they are a part; once it has been as long
// as it gets, it does not allocate.
#pragma once
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "journal/shard_batch.hpp"

namespace trialwire::journal {

class HeldBatches {
 public:
  bool empty() const noexcept { return count_ == 0; }
  /// Of the first one: every record of its receipts comes before this sequence.
  std::uint64_t first_needs() const noexcept { return ring_[first_].next_sequence; }

  void push(std::unique_ptr<ShardBatch> batch, std::uint64_t next_sequence) {
    if (count_ == ring_.size()) grow();
    ring_[(first_ + count_) & (ring_.size() - 1)] = {std::move(batch), next_sequence};
    ++count_;
  }
  std::unique_ptr<ShardBatch> pop() {
    auto batch = std::move(ring_[first_].batch);
    first_ = (first_ + 1) & (ring_.size() - 1);
    --count_;
    return batch;
  }

 private:
  struct Held {
    std::unique_ptr<ShardBatch> batch;
    std::uint64_t next_sequence = 0;
  };
  void grow() {
    std::vector<Held> larger(ring_.empty() ? 64 : ring_.size() * 2);
    for (std::size_t i = 0; i < count_; ++i) {
      larger[i] = std::move(ring_[(first_ + i) & (ring_.size() - 1)]);
    }
    ring_ = std::move(larger);
    first_ = 0;
  }

  std::vector<Held> ring_;  // power of two
  std::size_t first_ = 0, count_ = 0;
};

}  // namespace trialwire::journal
