// SPDX-License-Identifier: Apache-2.0
// What one shard appended in one turn of its loop, on its way to the committer and back: encoded
// records end to end, and the groups that they belong to. It belongs to one thread at a time: the
// shard's, then (by the queue) the committer's, then (by the done list) the shard's again, which
// reuses its memory.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/check.hpp"
#include "journal/appender.hpp"

namespace trialwire::journal {

/// Bytes that grow without being cleared first.
class EncodeBuffer {
 public:
  std::byte* data() const noexcept { return memory_.get(); }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  ByteView view() const noexcept { return {memory_.get(), size_}; }

  /// Room for `bytes` more; `commit` says how many were written.
  std::byte* reserve(std::size_t bytes) {
    if (capacity_ - size_ < bytes) [[unlikely]]
      grow(bytes);
    return memory_.get() + size_;
  }
  void commit(std::size_t bytes) noexcept { size_ += bytes; }
  void truncate(std::size_t size) noexcept { size_ = size; }

 private:
  struct Free {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
  };
  void grow(std::size_t bytes) {
    std::size_t wanted = capacity_ == 0 ? 2 << 10 : capacity_ * 2;
    while (wanted - size_ < bytes) wanted *= 2;
    auto* memory = static_cast<std::byte*>(std::realloc(memory_.get(), wanted));
    TW_CHECK(memory != nullptr);
    static_cast<void>(memory_.release());
    memory_.reset(memory);
    capacity_ = wanted;
  }

  std::unique_ptr<std::byte, Free> memory_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// What the committer decides by, apart from the bytes so that it reads through it in order.
struct RecordKey {
  Hash128 identity;
  std::uint64_t content_hash = 0;
  std::int64_t received_ns = 0;
  std::uint64_t stride = 0;  // encoded bytes
};

struct Group {
  Waiter* waiter = nullptr;  // null: withdrawn
  GroupMode mode = GroupMode::each;
  std::uint32_t records = 0;
  std::size_t first_key = 0;  // in ShardBatch::keys
  std::size_t offset = 0;     // in the batch's bytes
  std::size_t bytes = 0;
  std::uint64_t ticket = 0;
  Receipt receipt;                // the committer's; its spans are set when it is delivered
  std::uint32_t conflict_at = 0;  // in ShardBatch::conflicts
  std::uint32_t conflict_count = 0;
  std::uint32_t sequence_at = 0;  // in ShardBatch::sequences
  std::uint32_t sequence_count = 0;
};

struct ShardBatch {
  std::uint32_t shard = 0;
  EncodeBuffer bytes;
  std::vector<RecordKey> keys;
  std::vector<Group> groups;
  std::vector<std::uint32_t> conflicts;
  std::vector<std::uint64_t> sequences;

  std::size_t memory() const noexcept {
    return bytes.capacity() + keys.capacity() * sizeof(RecordKey) +
           groups.capacity() * sizeof(Group) + conflicts.capacity() * sizeof(std::uint32_t) +
           sequences.capacity() * sizeof(std::uint64_t);
  }
  void clear() noexcept {
    bytes.truncate(0);
    keys.clear();
    groups.clear();
    conflicts.clear();
    sequences.clear();
  }
};

using ShardBatches = std::vector<std::unique_ptr<ShardBatch>>;

}  // namespace trialwire::journal
