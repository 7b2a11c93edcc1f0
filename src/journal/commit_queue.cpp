// SPDX-License-Identifier: Apache-2.0
#include "journal/commit_queue.hpp"

#include <algorithm>
#include <utility>

namespace trialwire::journal {

using Step = CommitRule::Step;

namespace {

/// Does it say of records that they are stored?
bool speaks_of_records(const ShardBatch& batch) noexcept {
  return std::ranges::any_of(batch.groups, [](const Group& group) {
    return group.waiter != nullptr && group.receipt.state == Receipt::State::durable;
  });
}

void refuse_group(Group& group, ErrorCode code) noexcept {
  group.receipt = {};
  group.receipt.state = Receipt::State::refused;
  group.receipt.error = code;
  group.conflict_count = 0;
  group.sequence_count = 0;
}

}  // namespace

std::uint32_t CommitQueue::add_shard(std::function<void()> notify) {
  shards_.push_back(std::make_unique<Shard>());
  shards_.back()->notify = std::move(notify);
  return static_cast<std::uint32_t>(shards_.size() - 1);
}

void CommitQueue::push(std::unique_ptr<ShardBatch> batch) {
  pending_.fetch_add(batch->bytes.size(), std::memory_order_relaxed);
  bool wake = false;
  {
    std::lock_guard lock(mutex_);
    if (!closed_) {
      waiting_.requests += batch->groups.size();
      waiting_.bytes += batch->bytes.size();
      queue_.push_back(std::move(batch));
      wake = waiting_for_ == Step::wait_for_any ||
             (waiting_for_ == Step::wait_for_bytes && waiting_.bytes >= rule_.bytes());
      if (wake) waiting_for_ = Step::commit;
    }
  }
  if (wake) wake_.notify_one();
  if (batch != nullptr) {                      // not taken: the queue is closed
    const std::uint32_t shard = batch->shard;  // NOLINT(bugprone-use-after-move)
    refuse(std::move(batch));
    shards_[shard]->notify();
  }
}

bool CommitQueue::withdraw(std::uint32_t shard, std::uint64_t ticket) noexcept {
  std::lock_guard lock(mutex_);
  for (const auto& batch : queue_) {
    if (batch->shard != shard) continue;
    for (Group& group : batch->groups) {
      if (group.ticket == ticket && group.waiter != nullptr) {
        group.waiter = nullptr;
        return true;
      }
    }
  }
  return false;
}

void CommitQueue::take_done(std::uint32_t shard, ShardBatches& into) {
  Shard& of = *shards_[shard];
  of.notified.store(false, std::memory_order_release);
  std::lock_guard lock(of.mutex);
  for (auto& batch : of.done) into.push_back(std::move(batch));
  of.done.clear();
}

CommitQueue::Work CommitQueue::wait(ShardBatches& taken) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto now = CommitRule::Clock::now();
    auto decision = rule_.decide(now, waiting_);
    if (stop_) {
      if (queue_.empty()) return rule_.seal_due() ? Work::seal : Work::stop;
      decision.step = Step::commit;
    }
    if (decision.step == Step::commit) {
      rule_.started(now);
      waiting_ = {};
      taken.swap(queue_);
      return Work::commit;
    }
    if (decision.step == Step::seal) return Work::seal;
    waiting_for_ = decision.step;
    if (decision.until == CommitRule::Time::max()) {
      wake_.wait(lock);
    } else {
      wake_.wait_until(lock, decision.until);
    }
    waiting_for_ = Step::commit;
  }
}

void CommitQueue::seal_refused() {
  std::lock_guard lock(mutex_);
  stop_ ? rule_.sealed() : rule_.seal_refused(CommitRule::Clock::now());
}

void CommitQueue::settle(std::unique_ptr<ShardBatch> batch, std::uint64_t next_sequence) {
  if (acknowledge_ == Acknowledge::when_durable) return done(std::move(batch));
  const bool waits = speaks_of_records(*batch);
  std::lock_guard lock(held_mutex_);
  held_.push(std::move(batch), waits ? next_sequence : 0);
  release_held();
}

void CommitQueue::replicated(std::uint64_t next_sequence) {
  if (acknowledge_ == Acknowledge::when_durable) return;
  {
    std::lock_guard lock(held_mutex_);
    replicated_ = std::max(replicated_, next_sequence);
    release_held();
  }
  notify_shards();
}

void CommitQueue::release_held() {
  while (!held_for_good_ && !held_.empty() && held_.first_needs() <= replicated_) {
    done(held_.pop());
  }
}

void CommitQueue::hold_for_good() noexcept {
  std::lock_guard lock(held_mutex_);
  held_for_good_ = true;
}

void CommitQueue::give_up_held() {
  std::lock_guard lock(held_mutex_);
  while (!held_.empty()) {
    auto batch = held_.pop();
    for (Group& group : batch->groups) {
      if (group.receipt.state != Receipt::State::durable) continue;
      refuse_group(group, ErrorCode::deadline_exceeded);
    }
    done(std::move(batch));
  }
}

void CommitQueue::done(std::unique_ptr<ShardBatch> batch) {
  pending_.fetch_sub(batch->bytes.size(), std::memory_order_relaxed);
  Shard& shard = *shards_[batch->shard];
  std::lock_guard lock(shard.mutex);
  shard.done.push_back(std::move(batch));
  shard.has_news = true;
}

void CommitQueue::notify_shards() {
  for (const auto& shard : shards_) {
    bool news = false;
    {
      std::lock_guard lock(shard->mutex);
      news = std::exchange(shard->has_news, false);
    }
    if (news && !shard->notified.exchange(true, std::memory_order_acq_rel)) shard->notify();
  }
}

void CommitQueue::refuse(std::unique_ptr<ShardBatch> batch) {
  for (Group& group : batch->groups) refuse_group(group, ErrorCode::unavailable);
  done(std::move(batch));
}

void CommitQueue::close() {
  ShardBatches left;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    left.swap(queue_);
    waiting_ = {};
  }
  give_up_held();
  for (auto& batch : left) refuse(std::move(batch));
  notify_shards();
}

void CommitQueue::request_stop() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
}

}  // namespace trialwire::journal
