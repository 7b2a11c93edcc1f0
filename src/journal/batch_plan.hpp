// SPDX-License-Identifier: Apache-2.0
// What becomes of each waiting group, and which bytes go into the next batch. Decides with the
// identity index and fills in the receipts; they hold only once the batch is durable. One thread.
#pragma once
#include <cstdint>
#include <vector>

#include "base/uuid.hpp"
#include "journal/dedupe.hpp"
#include "journal/format.hpp"
#include "journal/shard_batch.hpp"

namespace trialwire::journal {

/// Brings the identity index's lines of the records to come into the cache, a fixed number of
/// records ahead of the decisions: a look-up is one cache miss that this hides.
class PrefetchAhead {
 public:
  PrefetchAhead(const ShardBatches& batches, const DedupeIndex& index);
  /// So many records were decided, or skipped.
  void advance(std::size_t records) noexcept {
    for (; records > 0; --records) step();
  }

 private:
  void step() noexcept;
  const ShardBatches& batches_;
  const DedupeIndex& index_;
  std::size_t batch_ = 0;
  std::size_t key_ = 0;
};

class BatchPlan {
 public:
  struct Origin {
    Uuid journal;
    std::uint32_t epoch = 0;
    std::uint64_t next_sequence = 1;
    bool synced = true;
  };
  /// An empty plan.
  void begin(const Origin& origin, const DedupeIndex& index);

  /// Decides the group, and steps `ahead` by its records. When its identities cannot be looked up
  /// it is refused.
  void add(ShardBatch& batch, Group& group, DedupeIndex& index, PrefetchAhead& ahead);

  std::size_t payload_bytes() const noexcept { return payload_bytes_; }
  std::uint32_t records() const noexcept { return records_; }
  std::uint64_t duplicates() const noexcept { return duplicates_; }
  std::uint64_t conflicts() const noexcept { return conflicts_; }
  std::size_t groups() const noexcept { return groups_.size(); }

  /// Appends the new records, in order, to the batch's payload.
  void copy_to(BatchBuffer& batch) const;

  /// The batch cannot be written: forgets its identities; every group is refused.
  void refuse(ErrorCode code, DedupeIndex& index) noexcept;

 private:
  void add_run(const std::byte* from, std::size_t bytes);
  void known(Receipt& receipt, std::uint64_t sequence, std::uint32_t epoch,
             std::int64_t received_ns) const;
  /// False: the index could not be read.
  bool decide(ShardBatch& batch, Group& group, std::uint32_t index_in_group, const std::byte* bytes,
              DedupeIndex& index);

  Origin origin_;
  std::size_t mark_ = 0;
  std::size_t payload_bytes_ = 0;
  std::uint32_t records_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t conflicts_ = 0;
  std::vector<ByteView> runs_;  // contiguous stretches of new records
  std::vector<Group*> groups_;
};

}  // namespace trialwire::journal
