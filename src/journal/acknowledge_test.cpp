// SPDX-License-Identifier: Apache-2.0
// Receipts that wait for another machine to have the records.
#include <gtest/gtest.h>

#include <thread>

#include "support/committer_fixture.hpp"

namespace trialwire::journal {
namespace {

class AcknowledgeTest : public CommitterTest {
 protected:
  AcknowledgeTest() { acknowledge_ = Acknowledge::when_replicated; }

  /// Until readers see everything before `next_sequence`, which is before it is settled.
  void wait_until_durable(std::uint64_t next_sequence) {
    ASSERT_TRUE(recent_->wait_for(next_sequence - 1, 20s, {}));
  }
};

TEST_F(AcknowledgeTest, a_receipt_goes_out_when_its_records_are_replicated) {
  start();
  Told a;
  append(0, a, {{1}, {2}});
  flush();
  wait_until_durable(3);
  deliver();
  EXPECT_EQ(a.times, 0);
  EXPECT_GT(queue_->pending_bytes(), 0U) << "it counts as unacknowledged";
  queue_->replicated(2);
  deliver();
  EXPECT_EQ(a.times, 0) << "only its first record is";
  queue_->replicated(3);
  wait_for({&a});
  EXPECT_EQ(a.receipt.state, State::durable);
  EXPECT_EQ(a.receipt.stored, 2U);
  EXPECT_EQ(a.receipt.first_sequence, 1U);
  EXPECT_EQ(queue_->pending_bytes(), 0U);
}

TEST_F(AcknowledgeTest, replication_that_was_faster_than_the_receipt_is_not_missed) {
  start();
  queue_->replicated(2);
  Told a;
  append(0, a, {{1}});
  flush();
  wait_for({&a});
  EXPECT_EQ(a.receipt.state, State::durable);
}

TEST_F(AcknowledgeTest, a_retry_waits_for_the_replication_of_the_first_record) {
  start();
  Told first, retry;
  append(0, first, {{1}});
  flush();
  wait_until_durable(2);
  append(1, retry, {{1}});
  flush();
  Told later;
  append(1, later, {{2}});
  flush();
  wait_until_durable(3);  // so the retry was decided
  queue_->replicated(1);
  deliver();
  EXPECT_EQ(retry.times, 0);
  queue_->replicated(3);
  wait_for({&first, &retry, &later});
  EXPECT_EQ(retry.receipt.duplicates, 1U);
  EXPECT_EQ(retry.receipt.first_sequence, 1U);
}

TEST_F(AcknowledgeTest, a_refusal_waits_for_no_replication_but_for_its_turn) {
  start();
  store_.fail_with(ErrorCode::disk_full);
  Told a;
  append(0, a, {{1}});
  flush();
  wait_for({&a});
  EXPECT_EQ(a.receipt.state, State::refused);
  EXPECT_EQ(a.receipt.error, ErrorCode::disk_full);
}

TEST_F(AcknowledgeTest, receipts_come_in_the_order_of_their_groups) {
  start();
  std::vector<Told> told(200);
  for (std::uint64_t i = 0; i < told.size(); ++i) {
    append(i % 2 == 0 ? 0U : 1U, told[i], {{i + 1}});
    flush();
  }
  wait_until_durable(201);
  for (std::uint64_t replicated = 1; replicated <= 201; ++replicated) {
    queue_->replicated(replicated);
    deliver();
    for (const Told& one : told) {
      if (one.times > 0) {
        EXPECT_LT(one.receipt.first_sequence, replicated);
      }
    }
  }
  for (Told& one : told) wait_for({&one});
}

TEST_F(AcknowledgeTest, what_is_not_replicated_when_the_journal_stops_is_not_acknowledged) {
  start();
  Told replicated, held;
  append(0, replicated, {{1}});
  flush();
  wait_until_durable(2);
  append(0, held, {{2}});
  flush();
  wait_until_durable(3);
  queue_->replicated(2);
  committer_->stop();
  deliver();
  EXPECT_EQ(replicated.receipt.state, State::durable);
  ASSERT_EQ(held.times, 1);
  EXPECT_EQ(held.receipt.state, State::refused);
  EXPECT_EQ(held.receipt.error, ErrorCode::deadline_exceeded);
  EXPECT_EQ(queue_->pending_bytes(), 0U);
  queue_->replicated(3);
  deliver();
  EXPECT_EQ(held.times, 1);
}

TEST_F(AcknowledgeTest, after_the_disk_has_failed_nothing_that_was_held_is_acknowledged) {
  start();
  Told held, failed;
  append(0, held, {{1}});
  flush();
  wait_until_durable(2);
  store_.fail_with(ErrorCode::io);
  append(0, failed, {{2}});
  flush();
  ASSERT_TRUE(fatal_count_.try_acquire_for(20s));
  queue_->replicated(2);
  committer_->stop();
  deliver();
  EXPECT_NE(held.receipt.state, State::durable);
  EXPECT_EQ(failed.times, 0);
}

TEST_F(AcknowledgeTest, what_is_held_counts_against_the_limit_of_unacknowledged_bytes) {
  unacknowledged_bytes_max_ = 1'000;
  start();
  Told a;
  append(0, a, {{1, "a record of some bytes"}});
  flush();
  wait_until_durable(2);
  EXPECT_FALSE(shards_[0]->admit(990));
  queue_->replicated(2);
  wait_for({&a});
  EXPECT_TRUE(shards_[0]->admit(990));
}

}  // namespace
}  // namespace trialwire::journal
