// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/sink.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "storage/kafka/test_records.hpp"
#include "support/faulty_files.hpp"
#include "support/mock_cluster.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::storage::kafka {
namespace {

using std::chrono::milliseconds;
using support::Consumed;
using support::MockCluster;
using support::produce_request;

const std::string topic = "trialwire.qol_answer";
const std::filesystem::path cursor_path = "/data/cursors/kafka.0";

class KafkaSinkTest : public testing::Test {
 protected:
  KafkaSinkTest() {
    static_cast<void>(files_.create_directory("/data"));
    options_.producer.client.brokers = {cluster_.brokers()};
    options_.producer.linger = milliseconds(1);
    options_.topics = {{journal::RecordKind::qol_answer, topic}};
    options_.cursor_file = cursor_path;
    options_.cursor_interval = milliseconds(0);
    options_.patience = milliseconds(20'000);
  }
  std::unique_ptr<pipeline::Sink> make() {
    return make_sink(options_, test::word_mappers(), files_, metrics_);
  }
  Result<void> deliver(pipeline::Sink& sink) {
    return sink.deliver(records_.all(), records_.end());
  }
  void must_deliver(pipeline::Sink& sink) {
    auto done = deliver(sink);
    ASSERT_TRUE(done) << done.error().text;
  }
  /// As a lane does it: again after every error that passes.
  void deliver_at_last(pipeline::Sink& sink) {
    for (int attempt = 0; attempt < 50; ++attempt) {
      auto done = deliver(sink);
      if (done) return;
      last_error_ = done.error();
      sink.reset();
      ASSERT_EQ(sink.durable_cursor(journal_)->next_sequence, 1U);
    }
    FAIL() << last_error_.text;
  }
  std::uint64_t stored() {
    auto cursor = stored_cursor(cursor_path, journal_, files_);
    EXPECT_TRUE(cursor) << cursor.error().text;
    return cursor ? cursor->next_sequence : 0;
  }
  static std::vector<std::string> sequences(const std::vector<Consumed>& messages) {
    std::vector<std::string> all;
    for (const Consumed& message : messages) all.push_back(message.headers.at("sequence"));
    return all;
  }
  using Texts = std::vector<std::string>;

  MockCluster cluster_;
  support::FaultyFiles files_{{}};
  telemetry::Registry metrics_;
  SinkOptions options_;
  Uuid journal_ = Uuid::random();
  test::Records records_{journal_};
  Error last_error_;
};

TEST_F(KafkaSinkTest, a_delivery_is_in_the_topic_and_its_cursor_in_the_file) {
  cluster_.make_topic(topic, 1);
  auto sink = make();
  EXPECT_EQ(sink->name(), "kafka");
  EXPECT_EQ(sink->durable_cursor(journal_)->next_sequence, 1U);
  records_.add("P-1 1");
  records_.add("P-2 2");
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  EXPECT_EQ(sink->durable_cursor(journal_)->next_sequence, 3U);
  EXPECT_EQ(stored(), 3U);
  auto messages = cluster_.read(topic);
  ASSERT_EQ(sequences(messages), Texts({"1", "2"}));
  EXPECT_EQ(messages[0].key, "P-1");
  EXPECT_NE(messages[0].value.find(R"("answer":1)"), std::string::npos);
  EXPECT_EQ(messages[0].headers.at("journal_id"), journal_.text());
  EXPECT_EQ(make()->durable_cursor(journal_)->next_sequence, 3U) << "after a restart";
}

TEST_F(KafkaSinkTest, the_last_cursor_is_stored_at_the_end) {
  options_.cursor_interval = std::chrono::hours(1);
  cluster_.make_topic(topic, 1);
  auto sink = make();
  records_.add("P-1 1");
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  records_.clear();
  records_.add("P-1 2");
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  EXPECT_EQ(stored(), 2U);
  sink.reset();
  EXPECT_EQ(stored(), 3U);
}

TEST_F(KafkaSinkTest, a_cursor_of_another_journal_is_refused_with_both_named) {
  cluster_.make_topic(topic, 1);
  const Uuid other = Uuid::random();
  test::Records foreign{other};
  foreign.add("P-1 1");
  ASSERT_TRUE(make()->deliver(foreign.all(), foreign.end()));
  auto sink = make();
  auto cursor = sink->durable_cursor(journal_);
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::corrupt);
  EXPECT_NE(cursor.error().text.find(other.text()), std::string::npos) << cursor.error().text;
  EXPECT_NE(cursor.error().text.find(journal_.text()), std::string::npos);
  records_.add("P-1 1");
  EXPECT_FALSE(deliver(*sink));
  EXPECT_EQ(cluster_.read(topic).size(), 1U);
}

TEST_F(KafkaSinkTest, a_cursor_that_cannot_be_stored_does_not_stop_deliveries) {
  cluster_.make_topic(topic, 1);
  auto sink = make();
  ASSERT_TRUE(sink->durable_cursor(journal_));
  files_.set_capacity(0);
  records_.add("P-1 1");
  EXPECT_TRUE(deliver(*sink));
  EXPECT_EQ(sink->durable_cursor(journal_)->next_sequence, 2U);
}

TEST_F(KafkaSinkTest, one_message_that_is_too_large_is_named_with_size_and_limit) {
  options_.producer.message_bytes_max = 2'000;
  cluster_.make_topic(topic, 1);
  auto sink = make();
  records_.add("P-1 1");
  records_.add("P-" + std::string(3'000, 'x') + " 2");
  records_.add("P-3 3");
  auto refused = deliver(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::payload_too_large);
  EXPECT_NE(refused.error().text.find("kafka.message_bytes is 2000"), std::string::npos)
      << refused.error().text;
  EXPECT_NE(refused.error().text.find("record 2, "), std::string::npos) << refused.error().text;
  sink->reset();
  // What the lane does next: the halves, the one record, the rest.
  std::span<const journal::Record> all(records_.all());
  EXPECT_TRUE(sink->deliver(all.first(1), {journal_, 2}));
  EXPECT_FALSE(sink->deliver(all.subspan(1, 1), {journal_, 3}));
  EXPECT_TRUE(sink->deliver(all.subspan(2), {journal_, 4}));
  EXPECT_EQ(sequences(cluster_.read(topic)), Texts({"1", "3"})) << "each once";
}

TEST_F(KafkaSinkTest, nothing_of_a_submission_is_sent_when_one_of_it_is_too_large) {
  options_.producer.message_bytes_max = 2'000;
  cluster_.make_topic(topic, 1);
  auto sink = make();
  records_.add("P-0 1");
  const Uuid submission = Uuid::random();
  records_.add("P-1 1").attributes.submission = submission;
  records_.add("P-" + std::string(3'000, 'x') + " 2").attributes.submission = submission;
  records_.add("P-3 3").attributes.submission = submission;
  auto refused = deliver(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::payload_too_large) << refused.error().text;
  EXPECT_NE(refused.error().text.find("record 3, "), std::string::npos) << refused.error().text;
  EXPECT_EQ(sequences(cluster_.read(topic)), Texts({"1"}));
}

TEST_F(KafkaSinkTest, a_partition_without_a_leader_does_not_hold_up_deliveries_to_others) {
  MockCluster two(2);
  two.make_topic(topic, 2);
  rd_kafka_mock_partition_set_leader(*two, topic.c_str(), 0, 1);
  rd_kafka_mock_partition_set_leader(*two, topic.c_str(), 1, 2);
  options_.producer.client.brokers = {two.brokers()};
  auto sink = make();
  for (int patient = 0; patient < 8; ++patient) {
    records_.add("P-" + std::to_string(patient) + " 1");
  }
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  options_.patience = milliseconds(1'000);
  sink = make();
  ASSERT_TRUE(sink->durable_cursor(journal_));
  rd_kafka_mock_broker_set_down(*two, 2);
  // One by one, as dead letters are delivered again, with the lane's cursor as it is.
  std::span<const journal::Record> all(records_.all());
  std::size_t arrived = 0, stuck = 0;
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto began = std::chrono::steady_clock::now();
      auto done = sink->deliver(all.subspan(i, 1), records_.end());
      if (done) {
        ++arrived;
        EXPECT_LT(std::chrono::steady_clock::now() - began, milliseconds(900)) << i;
      } else {
        ++stuck;
        EXPECT_EQ(done.error().code, ErrorCode::unavailable) << done.error().text;
        sink->reset();
      }
    }
  }
  EXPECT_GT(arrived, 0U);
  EXPECT_GT(stuck, 0U);
}

TEST_F(KafkaSinkTest, a_batch_that_a_broker_finds_too_large_is_refused_and_then_taken_in_parts) {
  cluster_.make_topic(topic, 1);
  auto sink = make();
  for (int i = 0; i < 4; ++i) records_.add("P-1 1");
  cluster_.answer(produce_request, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  auto refused = deliver(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::payload_too_large) << refused.error().text;
  sink->reset();
  std::span<const journal::Record> all(records_.all());
  ASSERT_TRUE(sink->deliver(all.first(2), {journal_, 3}));
  ASSERT_TRUE(sink->deliver(all.subspan(2), {journal_, 5}));
  EXPECT_EQ(sequences(cluster_.read(topic)), Texts({"1", "2", "3", "4"}));
}

TEST_F(KafkaSinkTest, one_message_that_a_broker_finds_too_large_is_named_with_its_size) {
  options_.admin_wait = milliseconds(100);
  cluster_.make_topic(topic, 1);
  auto sink = make();
  records_.add("P-1 1");
  cluster_.answer(produce_request, {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  auto refused = deliver(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::payload_too_large);
  EXPECT_NE(refused.error().text.find("record 1, a message of "), std::string::npos);
  EXPECT_NE(refused.error().text.find(topic), std::string::npos) << refused.error().text;
}

TEST_F(KafkaSinkTest, of_a_delivery_that_failed_in_one_partition_only_that_is_sent_again) {
  constexpr int partitions = 4;
  cluster_.make_topic(topic, partitions);
  auto sink = make();
  for (int i = 0; i < 40; ++i) records_.add("P-" + std::to_string(i) + " 1");
  cluster_.answer(produce_request, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  auto failed = deliver(*sink);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::forbidden) << failed.error().text;
  const std::uint64_t prefix = stored();
  EXPECT_LT(prefix, 41U);
  deliver_at_last(*sink);
  auto messages = sequences(cluster_.read(topic, partitions));
  std::ranges::sort(messages);
  EXPECT_GE(messages.size(), 40U);
  messages.erase(std::ranges::unique(messages).begin(), messages.end());
  EXPECT_EQ(messages.size(), 40U);
  EXPECT_EQ(stored(), 41U);
}

TEST_F(KafkaSinkTest, what_passes_by_itself_is_repeated_by_the_producer_and_written_once) {
  cluster_.make_topic(topic, 1);
  auto sink = make();
  for (int i = 0; i < 10; ++i) records_.add("P-1 " + std::to_string(i));
  cluster_.answer(produce_request,
                  {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
                   RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT});
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  EXPECT_EQ(sequences(cluster_.read(topic)),
            Texts({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}));
}

TEST_F(KafkaSinkTest, an_outage_is_said_and_costs_no_repetition) {
  options_.patience = milliseconds(300);
  cluster_.make_topic(topic, 1);
  auto sink = make();
  records_.add("P-1 1");
  records_.add("P-1 2");
  cluster_.set_down(true);
  auto failed = deliver(*sink);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::unavailable) << failed.error().text;
  sink->reset();
  EXPECT_EQ(sink->durable_cursor(journal_)->next_sequence, 1U);
  EXPECT_EQ(stored(), 1U);
  EXPECT_FALSE(deliver(*sink));
  cluster_.set_down(false);
  deliver_at_last(*sink);
  EXPECT_EQ(sequences(cluster_.read(topic)), Texts({"1", "2"}));
}

TEST_F(KafkaSinkTest, a_leader_that_moves_is_followed) {
  MockCluster three(3);
  three.make_topic(topic, 1, 3);
  rd_kafka_mock_partition_set_leader(*three, topic.c_str(), 0, 1);
  options_.producer.client.brokers = {three.brokers()};
  auto sink = make();
  records_.add("P-1 1");
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  records_.clear();
  records_.add("P-1 2");
  rd_kafka_mock_partition_set_leader(*three, topic.c_str(), 0, 2);
  rd_kafka_mock_broker_set_down(*three, 1);
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  EXPECT_EQ(sequences(three.read(topic)), Texts({"1", "2"}));
}

TEST_F(KafkaSinkTest, a_topic_that_is_missing_is_named) {
  options_.producer.client.properties = {{"topic.metadata.propagation.max.ms", "100"}};
  cluster_.make_topic(topic, 1);
  rd_kafka_mock_topic_set_error(*cluster_, topic.c_str(), RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  auto sink = make();
  records_.add("P-1 1");
  auto failed = deliver(*sink);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::not_found) << failed.error().text;
  EXPECT_NE(failed.error().text.find(topic), std::string::npos) << failed.error().text;
  rd_kafka_mock_topic_set_error(*cluster_, topic.c_str(), RD_KAFKA_RESP_ERR_NO_ERROR);
  deliver_at_last(*sink);
  EXPECT_EQ(sequences(cluster_.read(topic)), Texts({"1"}));
}

TEST_F(KafkaSinkTest, a_fatal_error_has_the_producer_made_anew_and_the_order_kept) {
  cluster_.make_topic(topic, 1);
  // All in one request: the mock cluster would take the next one, which a broker refuses.
  options_.producer.linger = milliseconds(200);
  auto sink = make();
  records_.add("P-1 1");
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  records_.clear();
  for (int i = 0; i < 5; ++i) records_.add("P-1 2");
  // The broker knows nothing of this producer, which has messages acknowledged: a gap.
  cluster_.answer(produce_request, {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
  auto failed = deliver(*sink);
  ASSERT_FALSE(failed);
  EXPECT_EQ(sink->durable_cursor(journal_)->next_sequence, 2U);
  sink->reset();
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  EXPECT_EQ(sequences(cluster_.read(topic)), Texts({"1", "2", "3", "4", "5", "6"}));
  EXPECT_NE(metrics_.text().find("trialwire_kafka_producers_total 2"), std::string::npos);
}

TEST_F(KafkaSinkTest, a_delivery_larger_than_the_queue_gets_through) {
  options_.producer.queue_messages = 10;
  cluster_.make_topic(topic, 2);
  auto sink = make();
  for (int i = 0; i < 500; ++i) records_.add("P-" + std::to_string(i % 7) + " 1");
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  EXPECT_EQ(cluster_.read(topic, 2).size(), 500U);
}

TEST_F(KafkaSinkTest, records_of_other_kinds_are_passed_over) {
  cluster_.make_topic(topic, 1);
  auto sink = make();
  records_.add("P-1 1").attributes.kind = journal::RecordKind::audit;
  records_.add("P-1 2");
  ASSERT_NO_FATAL_FAILURE(must_deliver(*sink));
  EXPECT_EQ(sequences(cluster_.read(topic)), Texts({"2"}));
  ASSERT_TRUE(sink->deliver({}, {journal_, 9}));
  EXPECT_EQ(stored(), 9U);
}

TEST_F(KafkaSinkTest, a_delivery_that_is_given_up_ends_soon) {
  auto sink = make();
  ASSERT_TRUE(sink->durable_cursor(journal_));
  cluster_.set_down(true);
  records_.add("P-1 1");
  std::thread other([&] { sink->give_up(); });
  auto failed = deliver(*sink);
  other.join();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::cancelled);
}

TEST_F(KafkaSinkTest, a_password_file_that_is_missing_is_named_and_no_secret_is) {
  options_.producer.client.security = {.protocol = "sasl_plaintext",
                                       .mechanism = "SCRAM-SHA-512",
                                       .username = "trialwire",
                                       .password_file = "/nowhere/secret"};
  auto sink = make();
  records_.add("P-1 1");
  auto failed = deliver(*sink);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().text.find("/nowhere/secret"), std::string::npos) << failed.error().text;
  EXPECT_NE(failed.error().code, ErrorCode::invalid_argument) << "that would blame the record";
}

}  // namespace
}  // namespace trialwire::storage::kafka
