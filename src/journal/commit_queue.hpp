// SPDX-License-Identifier: Apache-2.0
// Between the shards and the committer: batches on their way there, and, a shard, those that are
// settled on their way back. The committer is woken only when its rule says that it has something
// to do. Bounded by Options::unacknowledged_bytes_max, which `ShardAppender::admit` enforces.
//
// With Acknowledge::when_replicated a settled batch is held until `replicated` passes the end of
// the journal as it was then: everything that its receipts speak of is before that, also the
// records that a retry was answered with. Batches go back in the order they were settled.
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "journal/commit_rule.hpp"
#include "journal/held_batches.hpp"
#include "journal/shard_batch.hpp"

namespace trialwire::journal {

enum class Acknowledge : std::uint8_t { when_durable, when_replicated };

class CommitQueue {
 public:
  explicit CommitQueue(CommitRule::Limits limits,
                       Acknowledge acknowledge = Acknowledge::when_durable)
      : rule_(limits), acknowledge_(acknowledge) {}

  /// Before the committer starts. Returns the shard's number.
  std::uint32_t add_shard(std::function<void()> notify);

  // Shards:
  /// After `close` the batch comes straight back, its groups refused.
  void push(std::unique_ptr<ShardBatch> batch);
  /// Takes a group back that the committer has not taken yet.
  bool withdraw(std::uint32_t shard, std::uint64_t ticket) noexcept;
  /// Settled batches of the shard, in the order they were pushed, appended to `into`.
  void take_done(std::uint32_t shard, ShardBatches& into);

  // Committer:
  enum class Work : std::uint8_t { commit, seal, stop };
  /// Waits for something to do; with `commit`, `taken` is all that waits. After `request_stop`:
  /// what is left, then a seal if one is due, then `stop`.
  Work wait(ShardBatches& taken);
  CommitRule& rule() noexcept { return rule_; }  // committer only
  /// There was no room for a seal: later again, or never when stopping.
  void seal_refused();
  /// Hands a settled batch back, or holds it; `next_sequence` is where the journal goes on.
  void settle(std::unique_ptr<ShardBatch> batch, std::uint64_t next_sequence);
  /// `notify` once for each shard that has news and none unseen yet.
  void notify_shards();
  /// Nothing that is held is let go any more: the disk has failed.
  void hold_for_good() noexcept;
  /// From now on nothing is taken: what waits and what comes is refused as unavailable, what is
  /// held as deadline_exceeded, for it is stored here and may be elsewhere.
  void close();

  // Any thread:
  /// Another machine has everything before this sequence.
  void replicated(std::uint64_t next_sequence);

  void request_stop();

  /// Unacknowledged bytes handed over, of all shards.
  std::size_t pending_bytes() const noexcept { return pending_.load(std::memory_order_relaxed); }
  bool accepting() const noexcept { return accepting_.load(std::memory_order_acquire); }
  void refuse_new() noexcept { accepting_.store(false, std::memory_order_release); }

 private:
  struct Shard {
    std::function<void()> notify;
    std::mutex mutex;
    ShardBatches done;
    bool has_news = false;              // `done` got something since its shard was notified
    std::atomic<bool> notified{false};  // and the shard has not looked since
  };
  void done(std::unique_ptr<ShardBatch> batch);
  void refuse(std::unique_ptr<ShardBatch> batch);
  void release_held();
  void give_up_held();

  CommitRule rule_;
  const Acknowledge acknowledge_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::mutex mutex_;
  std::condition_variable wake_;
  ShardBatches queue_;
  CommitRule::Waiting waiting_;
  CommitRule::Step waiting_for_ = CommitRule::Step::commit;  // commit: the committer is busy
  bool stop_ = false;
  bool closed_ = false;
  std::mutex held_mutex_;  // of the next three; taken before a shard's
  HeldBatches held_;
  std::uint64_t replicated_ = 0;
  bool held_for_good_ = false;
  std::atomic<std::size_t> pending_{0};
  std::atomic<bool> accepting_{true};
};

}  // namespace trialwire::journal
