// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/outbox.hpp"

#include <gtest/gtest.h>

namespace trialwire::storage::kafka {
namespace {

constexpr auto delivered = RD_KAFKA_RESP_ERR_NO_ERROR;
constexpr auto refused = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;

class OutboxTest : public testing::Test {
 protected:
  /// Sequences from `first`, each with the key of that number; 0: none.
  void begin(std::uint64_t first, std::vector<std::uint32_t> keys) {
    records_.clear();
    for (std::uint32_t key : keys) {
      journal::Record& record = records_.emplace_back();
      record.sequence = first++;
      record.attributes.key_hash = key;
      record.attributes.submission = submission_;
    }
    outbox_.begin(records_,
                  [this](const journal::Record& record) { return record.sequence != not_taken_; });
  }
  void send_all() {
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (outbox_.must_send(i)) outbox_.sent(i, {.topic = 0, .bytes = 100});
    }
  }
  /// Sequences of the delivery that are to be sent.
  std::vector<std::uint64_t> to_send() const {
    std::vector<std::uint64_t> sequences;
    for (std::size_t i = 0; i < records_.size(); ++i) {
      if (outbox_.must_send(i)) sequences.push_back(records_[i].sequence);
    }
    return sequences;
  }
  using Sequences = std::vector<std::uint64_t>;

  Outbox outbox_;
  std::vector<journal::Record> records_;
  Uuid submission_;
  std::uint64_t not_taken_ = 0;
};

TEST_F(OutboxTest, a_delivery_is_done_when_every_report_is_there) {
  begin(1, {1, 2, 3});
  EXPECT_EQ(to_send(), Sequences({1, 2, 3}));
  send_all();
  outbox_.reported(3, delivered);
  outbox_.reported(1, delivered);
  EXPECT_FALSE(outbox_.done());
  EXPECT_EQ(outbox_.prefix_end(4), 2U) << "2 is not there, so 3 does not count";
  outbox_.reported(2, delivered);
  EXPECT_TRUE(outbox_.done());
  EXPECT_EQ(outbox_.prefix_end(4), 4U);
}

TEST_F(OutboxTest, a_delivery_does_not_wait_for_what_earlier_ones_have_in_flight) {
  begin(3, {3});  // its partition has no leader, and it was given up for now
  send_all();
  EXPECT_EQ(outbox_.awaited(), 1U);
  begin(7, {7});
  EXPECT_EQ(outbox_.awaited(), 0U);
  send_all();
  EXPECT_EQ(outbox_.awaited(), 1U);
  outbox_.reported(7, delivered);
  EXPECT_TRUE(outbox_.done());
  EXPECT_EQ(outbox_.awaited(), 0U);
  outbox_.clear();
  EXPECT_EQ(outbox_.in_flight(), 1U);
  begin(3, {3});
  EXPECT_EQ(to_send(), Sequences({})) << "it is on its way still";
  EXPECT_EQ(outbox_.awaited(), 1U);
  outbox_.reported(3, delivered);
  EXPECT_TRUE(outbox_.done());
}

TEST_F(OutboxTest, a_failure_of_an_earlier_delivery_is_none_of_this_one) {
  begin(3, {3});
  send_all();
  begin(7, {7});
  send_all();
  outbox_.reported(3, refused);
  EXPECT_FALSE(outbox_.has_failed());
  EXPECT_EQ(outbox_.failure().messages, 0U);
  outbox_.reported(7, delivered);
  EXPECT_TRUE(outbox_.done());
  outbox_.clear();
  EXPECT_EQ(outbox_.in_flight(), 0U);
  begin(3, {3});
  EXPECT_EQ(to_send(), Sequences({3}));
}

TEST_F(OutboxTest, after_a_failure_only_what_failed_is_sent_again) {
  begin(1, {1, 2, 3, 4});
  send_all();
  outbox_.reported(1, delivered);
  outbox_.reported(2, refused);
  outbox_.reported(3, delivered);
  outbox_.reported(4, refused);
  EXPECT_EQ(outbox_.failure().sequence, 2U);
  EXPECT_EQ(outbox_.failure().messages, 2U);
  EXPECT_EQ(outbox_.prefix_end(5), 2U);
  begin(1, {1, 2, 3, 4});
  EXPECT_EQ(to_send(), Sequences({2, 4}));
  EXPECT_EQ(outbox_.failure().messages, 0U);
  send_all();
  outbox_.reported(2, delivered);
  outbox_.reported(4, delivered);
  EXPECT_TRUE(outbox_.done());
}

TEST_F(OutboxTest, what_was_delivered_of_a_second_half_is_known_when_that_comes) {
  begin(1, {1, 2, 3, 4});
  send_all();
  outbox_.reported(1, delivered);
  outbox_.reported(2, refused);
  outbox_.reported(3, delivered);
  outbox_.reported(4, refused);
  begin(1, {1, 2});
  EXPECT_EQ(to_send(), Sequences({2}));
  send_all();
  outbox_.reported(2, delivered);
  EXPECT_TRUE(outbox_.done());
  outbox_.clear();
  begin(3, {3, 4});
  EXPECT_EQ(to_send(), Sequences({4}));
  send_all();
  outbox_.reported(4, delivered);
  outbox_.clear();
  begin(3, {3});
  EXPECT_EQ(to_send(), Sequences({3})) << "what is behind the cursor is forgotten";
}

TEST_F(OutboxTest, of_a_second_half_what_follows_a_record_of_its_key_is_sent_again) {
  begin(1, {7, 8, 7, 8});
  send_all();
  outbox_.reported(1, refused);
  for (std::uint64_t sequence : {2, 3, 4}) outbox_.reported(sequence, delivered);
  begin(1, {7, 8});
  EXPECT_EQ(to_send(), Sequences({1}));
  send_all();
  outbox_.reported(1, delivered);
  outbox_.clear();
  begin(3, {7, 8});
  EXPECT_EQ(to_send(), Sequences({3})) << "behind 1 of the same key; 4 is where it belongs";
}

TEST_F(OutboxTest, of_one_key_what_follows_is_sent_again_too) {
  begin(1, {7, 8, 7, 8});
  send_all();
  outbox_.reported(1, refused);
  for (std::uint64_t sequence : {2, 3, 4}) outbox_.reported(sequence, delivered);
  begin(1, {7, 8, 7, 8});
  EXPECT_EQ(to_send(), Sequences({1, 3}));
}

TEST_F(OutboxTest, a_refused_record_that_is_left_out_holds_back_nothing_of_its_key) {
  begin(1, {7, 7, 7});
  send_all();
  outbox_.reported(1, delivered);
  outbox_.reported(2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  outbox_.reported(3, delivered);
  begin(3, {7});
  EXPECT_TRUE(outbox_.done());
}

TEST_F(OutboxTest, what_is_in_flight_is_not_sent_twice) {
  begin(1, {1, 2, 3});
  send_all();
  outbox_.reported(1, delivered);
  begin(1, {1, 2, 3});
  EXPECT_EQ(to_send(), Sequences({}));
  EXPECT_EQ(outbox_.in_flight(), 2U);
  outbox_.reported(2, delivered);
  begin(3, {3, 4});
  EXPECT_EQ(to_send(), Sequences({4}));
  outbox_.reported(3, delivered);
  send_all();
  outbox_.reported(4, delivered);
  EXPECT_TRUE(outbox_.done());
}

TEST_F(OutboxTest, reports_of_an_earlier_delivery_find_their_place) {
  begin(5, {1, 2});
  send_all();
  begin(1, {3});
  send_all();
  EXPECT_EQ(outbox_.in_flight(), 3U);
  outbox_.reported(6, delivered);
  outbox_.reported(1, delivered);
  EXPECT_TRUE(outbox_.done());
  outbox_.reported(5, delivered);
  EXPECT_EQ(outbox_.in_flight(), 0U);
}

TEST_F(OutboxTest, what_was_in_flight_when_the_producer_went_is_sent_again) {
  begin(1, {1, 2});
  send_all();
  outbox_.reported(1, delivered);
  outbox_.forget_in_flight();
  EXPECT_EQ(outbox_.in_flight(), 0U);
  EXPECT_TRUE(outbox_.has_failed());
  EXPECT_EQ(outbox_.failure().messages, 0U) << "that is no reason of its own";
  begin(1, {1, 2});
  EXPECT_EQ(to_send(), Sequences({2}));
}

TEST_F(OutboxTest, the_reason_is_the_failure_that_others_follow_from) {
  begin(1, {1, 2, 3});
  send_all();
  outbox_.reported(1, RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE);
  outbox_.reported(2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  outbox_.reported(3, RD_KAFKA_RESP_ERR__PURGE_QUEUE);
  EXPECT_EQ(outbox_.failure().sequence, 2U);
  EXPECT_EQ(outbox_.failure().bytes, 100U);
}

TEST_F(OutboxTest, the_prefix_ends_before_a_submission_that_is_not_whole) {
  submission_ = Uuid::random();
  begin(10, {1, 2, 3});
  send_all();
  outbox_.reported(10, delivered);
  outbox_.reported(11, delivered);
  EXPECT_EQ(outbox_.prefix_end(13), 10U);
  outbox_.reported(12, delivered);
  EXPECT_EQ(outbox_.prefix_end(13), 13U);
}

TEST_F(OutboxTest, records_that_are_not_sent_count_as_delivered) {
  not_taken_ = 2;
  begin(1, {1, 2, 3});
  EXPECT_EQ(to_send(), Sequences({1, 3}));
  send_all();
  outbox_.reported(1, delivered);
  EXPECT_EQ(outbox_.prefix_end(4), 3U);
  begin(5, {});
  EXPECT_TRUE(outbox_.done());
}

}  // namespace
}  // namespace trialwire::storage::kafka
