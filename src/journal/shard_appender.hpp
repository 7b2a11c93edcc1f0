// SPDX-License-Identifier: Apache-2.0
// A shard's side of the journal. All of it runs on the shard's thread.
#pragma once
#include "journal/commit_queue.hpp"

namespace trialwire::journal {

class SegmentStore;

class ShardAppender final : public Appender {
 public:
  /// Both outlive it.
  struct Context {
    CommitQueue& queue;
    const SegmentStore& store;
    std::size_t unacknowledged_bytes_max = 64 << 20;
    std::size_t group_bytes_max = 48 << 20;
  };
  ShardAppender(Context context, std::uint32_t shard);
  ~ShardAppender() override;

  Result<void> admit(std::size_t bytes) noexcept override;
  void begin(GroupMode mode) noexcept override;
  void add(const Record& record) override;
  bool fits() const noexcept override;
  void cancel() noexcept override;
  std::uint64_t end(Waiter& waiter) override;
  bool withdraw(std::uint64_t ticket) noexcept override;
  void flush() override;
  std::size_t pending_bytes() const noexcept override { return pending_; }
  Progress progress() const noexcept override { return progress_; }
  SipKey identity_key() const noexcept override { return key_; }

  /// Tells the waiters of what is settled, in order.
  void deliver();

 private:
  std::unique_ptr<ShardBatch> spare();
  void recycle(std::unique_ptr<ShardBatch> batch);

  Context context_;
  const std::uint32_t shard_;
  const SipKey key_;
  std::unique_ptr<ShardBatch> current_;
  bool open_ = false;
  GroupMode mode_ = GroupMode::each;
  std::size_t group_offset_ = 0;
  std::uint32_t group_records_ = 0;
  std::uint64_t next_ticket_ = 1;
  std::size_t pending_ = 0;
  Progress progress_;
  std::size_t pending_lately_ = 0;  // its peak, which fades with the deliveries
  std::size_t spare_bytes_ = 0;
  ShardBatches spares_;
  ShardBatches done_;
};

}  // namespace trialwire::journal
