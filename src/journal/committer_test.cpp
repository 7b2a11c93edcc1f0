// SPDX-License-Identifier: Apache-2.0
#include "journal/committer.hpp"

#include <gtest/gtest.h>

#include "support/committer_fixture.hpp"

namespace trialwire::journal {
namespace {

TEST_F(CommitterTest, OneTurnLeavesInOneBatchInOrder) {
  start();
  Told a, b, c;
  append(0, a, {{1, "one"}, {2, "two"}});
  append(0, b, {{3, "three"}});
  append(0, c, {{4, "four"}});
  flush();
  wait_for({&a, &b, &c});
  ASSERT_EQ(store_.batches().size(), 1u);
  EXPECT_EQ(store_.batches()[0], (std::vector<std::string>{"one", "two", "three", "four"}));
  EXPECT_EQ(a.receipt.state, State::durable);
  EXPECT_EQ(a.receipt.stored, 2u);
  EXPECT_EQ(a.receipt.first_sequence, 1u);
  EXPECT_EQ(c.receipt.first_sequence, 4u);
  EXPECT_TRUE(c.receipt.synced);
  const Chain& chain = store_.chain();
  EXPECT_EQ(c.receipt.first_record_id, record_id({chain.journal, chain.epoch, 4, received_ns}));
}

TEST_F(CommitterTest, NothingIsToldBeforeTheBatchIsDurable) {
  store_.close_gate();
  start();
  Told a;
  append(0, a, {{1}});
  flush();
  store_.wait_at_gate();
  deliver();
  EXPECT_EQ(a.times, 0);
  EXPECT_EQ(recent_->next_sequence(), 1u);
  store_.open_gate();
  wait_for({&a});
  EXPECT_EQ(recent_->next_sequence(), 2u);
}

TEST_F(CommitterTest, WhatComesDuringASyncLeavesTogetherInTheNextBatch) {
  store_.close_gate();
  start();
  Told a, b, c;
  append(0, a, {{1, "a"}});
  flush();
  store_.wait_at_gate();
  append(0, b, {{2, "b"}});
  flush();
  append(1, c, {{3, "c"}});
  flush();
  store_.open_gate();
  wait_for({&a, &b, &c});
  ASSERT_EQ(store_.batches().size(), 2u);
  EXPECT_EQ(store_.batches()[1], (std::vector<std::string>{"b", "c"}));
}

TEST_F(CommitterTest, ARetryIsAnsweredWithTheFirstReceiptWhereverTheFirstOneIs) {
  store_.close_gate();
  start();
  Told first, same_batch, in_flight, later;
  append(0, first, {{1}});
  append(0, same_batch, {{1}});
  flush();
  store_.wait_at_gate();
  append(1, in_flight, {{1}});
  flush();
  store_.open_gate();
  wait_for({&first, &same_batch, &in_flight});
  append(1, later, {{1}});
  flush();
  wait_for({&later});
  EXPECT_EQ(store_.records(), 1u);
  for (const Told* retry : {&same_batch, &in_flight, &later}) {
    EXPECT_EQ(retry->receipt.state, State::durable);
    EXPECT_EQ(retry->receipt.duplicates, 1u);
    EXPECT_EQ(retry->receipt.stored, 0u);
    EXPECT_EQ(retry->receipt.first_sequence, first.receipt.first_sequence);
    EXPECT_EQ(retry->receipt.first_record_id, first.receipt.first_record_id);
  }
}

TEST_F(CommitterTest, OtherBytesUnderTheSameIdentityAreAConflict) {
  start();
  Told a, b, c;
  append(0, a, {{1, "one"}});
  append(0, b, {{2, "two"}, {1, "other"}, {3, "three"}}, GroupMode::each);
  append(1, c, {{4, "four"}, {1, "again other"}, {2, "other"}}, GroupMode::all_or_none);
  shards_[0]->flush();
  wait_for({&a, &b});
  shards_[1]->flush();
  wait_for({&c});
  EXPECT_EQ(b.receipt.state, State::durable);
  EXPECT_EQ(b.receipt.stored, 2u);
  EXPECT_EQ(b.conflicts, std::vector<std::uint32_t>{1});
  EXPECT_EQ(b.receipt.first_sequence, 2u);
  EXPECT_EQ(c.receipt.state, State::conflict);
  EXPECT_EQ(c.receipt.stored, 0u);
  EXPECT_EQ(c.conflicts, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(store_.records(), 3u);
}

TEST_F(CommitterTest, AGroupThatConflictsLeavesNoIdentityBehind) {
  start();
  Told a, b, c;
  append(0, a, {{1, "one"}});
  append(0, b, {{5, "five"}, {1, "other"}}, GroupMode::all_or_none);
  append(0, c, {{5, "five, corrected"}}, GroupMode::all_or_none);
  flush();
  wait_for({&a, &b, &c});
  EXPECT_EQ(b.receipt.state, State::conflict);
  EXPECT_EQ(c.receipt.state, State::durable);
  EXPECT_EQ(c.receipt.stored, 1u);
  ASSERT_EQ(store_.batches().size(), 1u);
  EXPECT_EQ(store_.batches()[0], (std::vector<std::string>{"one", "five, corrected"}));
}

TEST_F(CommitterTest, AllOrNoneWithRetriesStoresTheRest) {
  start();
  Told a, b;
  append(0, a, {{1}});
  append(0, b, {{1}, {2}, {3}, {2}}, GroupMode::all_or_none);
  flush();
  wait_for({&a, &b});
  EXPECT_EQ(b.receipt.state, State::durable);
  EXPECT_EQ(b.receipt.stored, 2u);
  EXPECT_EQ(b.receipt.duplicates, 2u);
  EXPECT_EQ(b.receipt.first_sequence, 1u);
}

TEST_F(CommitterTest, SequencesThatAreNotOneRangeAreSaidOneByOne) {
  start();
  Told first, second, third, whole, all_new, conflicting;
  append(0, first, {{1}});
  append(0, second, {{2}, {3}});
  append(0, third, {{4}, {1}, {2}, {5}});
  append(0, whole, {{2}, {3}}, GroupMode::all_or_none);
  append(0, conflicting, {{2}, {6}, {1, "other"}, {7}});
  append(0, all_new, {{8}, {9}});
  flush();
  wait_for({&first, &second, &third, &whole, &conflicting, &all_new});
  EXPECT_EQ(second.sequences, (std::vector<std::uint64_t>{}));
  EXPECT_EQ(third.receipt.first_sequence, 4u);
  EXPECT_EQ(third.sequences, (std::vector<std::uint64_t>{4, 1, 2, 5}));
  EXPECT_EQ(whole.receipt.first_sequence, 2u);
  EXPECT_EQ(whole.sequences, (std::vector<std::uint64_t>{})) << "a retry of one whole range";
  EXPECT_EQ(conflicting.sequences, (std::vector<std::uint64_t>{2, 6, 7}));
  EXPECT_EQ(conflicting.conflicts, (std::vector<std::uint32_t>{2}));
  EXPECT_EQ(all_new.receipt.first_sequence, 8u);
  EXPECT_EQ(all_new.sequences, (std::vector<std::uint64_t>{}));

  Told refused, after;
  append(0, refused, {{1}, {10}, {2, "other"}}, GroupMode::all_or_none);
  append(0, after, {{10}, {1}});
  flush();
  wait_for({&refused, &after});
  EXPECT_EQ(refused.receipt.state, State::conflict);
  EXPECT_EQ(refused.sequences, (std::vector<std::uint64_t>{}));
  EXPECT_EQ(after.sequences, (std::vector<std::uint64_t>{10, 1}));
}

TEST_F(CommitterTest, AGroupCanBeWithdrawnUntilTheCommitterHasTakenIt) {
  store_.close_gate();
  start();
  Told taken, queued, unflushed, other;
  const auto t1 = append(0, taken, {{1, "taken"}});
  flush();
  store_.wait_at_gate();
  const auto t2 = append(0, queued, {{2, "queued"}});
  append(0, other, {{3, "other"}});
  flush();
  const auto t3 = append(0, unflushed, {{4, "unflushed"}});
  EXPECT_FALSE(shards_[0]->withdraw(t1));
  EXPECT_TRUE(shards_[0]->withdraw(t2));
  EXPECT_FALSE(shards_[0]->withdraw(t2));
  EXPECT_TRUE(shards_[0]->withdraw(t3));
  EXPECT_FALSE(shards_[0]->withdraw(999));
  flush();
  store_.open_gate();
  wait_for({&taken, &other});
  committer_->stop();
  deliver();
  EXPECT_EQ(queued.times + unflushed.times, 0);
  EXPECT_EQ(store_.records(), 2u);
  EXPECT_EQ(shards_[0]->pending_bytes(), 0u);
}

TEST_F(CommitterTest, ACancelledGroupIsAsIfItHadNeverBegun) {
  start();
  Told a;
  shards_[0]->begin(GroupMode::each);
  shards_[0]->add(record(1));
  shards_[0]->cancel();
  append(0, a, {{2, "two"}});
  flush();
  wait_for({&a});
  EXPECT_EQ(store_.batches()[0], std::vector<std::string>{"two"});
}

TEST_F(CommitterTest, AnEmptyGroupIsAnsweredAtOnce) {
  start();
  Told a;
  append(0, a, {});
  EXPECT_EQ(a.times, 1);
  EXPECT_EQ(a.receipt.state, State::durable);
}

TEST_F(CommitterTest, AFullDiskRefusesAndTheSameRecordIsStoredWhenSpaceReturns) {
  start();
  store_.fail_with(ErrorCode::disk_full);
  Told a, b, retry;
  append(0, a, {{1}});
  append(1, b, {{2}, {3}}, GroupMode::all_or_none);
  flush();
  wait_for({&a, &b});
  EXPECT_EQ(a.receipt.state, State::refused);
  EXPECT_EQ(a.receipt.error, ErrorCode::disk_full);
  EXPECT_EQ(b.receipt.state, State::refused);
  EXPECT_EQ(shards_[0]->admit(100).error().code, ErrorCode::disk_full);
  store_.fail_with(std::nullopt);
  EXPECT_TRUE(shards_[0]->admit(100));
  append(0, retry, {{1}});
  flush();
  wait_for({&retry});
  EXPECT_EQ(retry.receipt.state, State::durable);
  EXPECT_EQ(retry.receipt.stored, 1u);
  EXPECT_EQ(retry.receipt.first_sequence, 1u);
}

TEST_F(CommitterTest, AfterAFailedSyncNothingIsAcknowledgedEverAgain) {
  store_.close_gate();
  start();
  Told in_batch, queued, later;
  append(0, in_batch, {{1}});
  flush();
  store_.wait_at_gate();
  append(0, queued, {{2}});
  flush();
  store_.fail_with(ErrorCode::io);
  store_.open_gate();
  ASSERT_TRUE(fatal_count_.try_acquire_for(20s));
  EXPECT_EQ(fatal_.code, ErrorCode::io);
  store_.fail_with(std::nullopt);  // the device claims to be well again
  EXPECT_EQ(shards_[0]->admit(1).error().code, ErrorCode::unavailable);
  append(0, later, {{3}});
  flush();
  wait_for({&queued, &later});
  committer_->stop();
  deliver();
  EXPECT_EQ(in_batch.times, 0);
  EXPECT_EQ(queued.receipt.state, State::refused);
  EXPECT_EQ(later.receipt.state, State::refused);
  EXPECT_EQ(later.receipt.error, ErrorCode::unavailable);
  EXPECT_EQ(store_.appends(), 1u);
  EXPECT_FALSE(fatal_count_.try_acquire());
  EXPECT_EQ(recent_->next_sequence(), 1u);
}

TEST_F(CommitterTest, AfterSilenceOneEmptyBatchSealsTheLastOne) {
  rule_.silence = 1ms;
  start();
  Told a;
  append(0, a, {{1}});
  flush();
  wait_for({&a});
  store_.wait_for_seals(1);
  committer_->stop();
  EXPECT_EQ(store_.seals(), 1u);
  EXPECT_EQ(store_.batches().size(), 1u);
}

TEST_F(CommitterTest, StoppingCommitsWhatWasHandedOverAndSealsIt) {
  store_.close_gate();
  start();
  Told a, b, c;
  append(0, a, {{1}});
  flush();
  store_.wait_at_gate();
  append(1, b, {{2}});
  flush();
  queue_->refuse_new();
  EXPECT_EQ(shards_[1]->admit(1).error().code, ErrorCode::unavailable);
  store_.open_gate();
  committer_->stop();
  append(0, c, {{3}});
  flush();
  wait_for({&a, &b, &c});
  EXPECT_EQ(b.receipt.state, State::durable);
  EXPECT_EQ(c.receipt.state, State::refused);
  EXPECT_EQ(store_.records(), 2u);
  EXPECT_EQ(store_.seals(), 1u);
}

TEST_F(CommitterTest, MoreThanABatchHoldsGoesInSeveralAndNoGroupIsSplit) {
  limits_.batch_bytes_max = 4000;
  store_.close_gate();
  start();
  Told first;
  append(0, first, {{1}});
  flush();
  store_.wait_at_gate();
  const std::string large(1500, 'x');
  std::array<Told, 6> told;
  for (std::uint64_t i = 0; i < told.size(); ++i) {
    append(0, told[i], {{10 + 2 * i, large}, {11 + 2 * i, large}}, GroupMode::all_or_none);
  }
  flush();
  store_.open_gate();
  wait_for({&first, &told[0], &told[5]});
  for (std::size_t i = 1; i < store_.batches().size(); ++i) {
    EXPECT_EQ(store_.batches()[i].size(), 4u);  // two groups reach the limit
  }
  EXPECT_EQ(store_.batches().size(), 4u);
  EXPECT_EQ(told[5].receipt.first_sequence, 12u);
}

TEST_F(CommitterTest, TooMuchUnacknowledgedIsRefusedBeforeItIsTaken) {
  unacknowledged_bytes_max_ = 3000;
  store_.close_gate();
  start();
  Told a, b;
  const std::string bytes(2000, 'x');
  EXPECT_TRUE(shards_[0]->admit(2000));
  append(0, a, {{1, bytes}});
  EXPECT_EQ(shards_[0]->admit(2000).error().code, ErrorCode::overloaded);
  flush();
  EXPECT_EQ(shards_[1]->admit(2000).error().code, ErrorCode::overloaded);
  EXPECT_GE(shards_[0]->pending_bytes(), 2000u);
  store_.open_gate();
  wait_for({&a});
  EXPECT_TRUE(shards_[1]->admit(2000));
  EXPECT_EQ(shards_[0]->pending_bytes(), 0u);
}

TEST_F(CommitterTest, WithoutSyncReceiptsSaySo) {
  limits_.sync = false;
  start();
  Told a;
  append(0, a, {{1}});
  flush();
  wait_for({&a});
  EXPECT_FALSE(a.receipt.synced);
}

TEST_F(CommitterTest, SeveralShardsAtOnceGetEachTheirOwnReceiptsInOrder) {
  start();
  constexpr int rounds = 300;
  struct Ordered final : Waiter {
    std::uint64_t last = 0;
    int told = 0;
    bool ordered = true;
    void committed(const Receipt& r) noexcept override {
      ordered = ordered && r.state == State::durable && r.first_sequence > last;
      last = r.first_sequence;
      ++told;
    }
  };
  std::array<Ordered, 2> waiters;
  std::array<std::jthread, 2> threads;
  for (unsigned s = 0; s < 2; ++s) {
    threads[s] = std::jthread([&, s] {
      for (std::uint64_t i = 0; i < rounds; ++i) {
        shards_[s]->begin(GroupMode::each);
        shards_[s]->add(record(1000 * (s + 1) + i));
        shards_[s]->end(waiters[s]);
        shards_[s]->flush();
        shards_[s]->deliver();
      }
      while (waiters[s].told < rounds) {
        shards_[s]->deliver();
        std::this_thread::yield();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(waiters[0].ordered && waiters[1].ordered);
  EXPECT_EQ(store_.records(), 2u * rounds);
}

TEST_F(CommitterTest, says_how_many_groups_went_to_the_committer_and_came_back) {
  start();
  Told a, b;
  append(0, a, {{1}});
  append(0, b, {{2}, {3}});
  EXPECT_EQ(shards_[0]->progress().handed_over, 0U) << "not before the turn ends";
  flush();
  EXPECT_EQ(shards_[0]->progress().handed_over, 2U);
  wait_for({&a, &b});
  EXPECT_EQ(shards_[0]->progress().settled, 2U);
  EXPECT_EQ(shards_[1]->progress().handed_over, 0U);
}

}  // namespace
}  // namespace trialwire::journal
