// SPDX-License-Identifier: Apache-2.0
// The sink on bad days: what a real server does to a delivery, and that each row is there once.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "services/mysql/fixture.hpp"

namespace trialwire::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// With arrays of values, as MariaDB takes them, and with text, as MySQL does.
class MysqlSinkFailureTest : public MysqlTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    MysqlTest::SetUp();
    options.arrays = GetParam();
  }
};

INSTANTIATE_TEST_SUITE_P(Mysql, MysqlSinkFailureTest, testing::Bool(),
                         [](const auto& run) { return run.param ? "arrays" : "text"; });

TEST_P(MysqlSinkFailureTest, connections_that_are_cut_at_any_moment_lose_and_double_nothing) {
  options.batch_bytes = 2'000;
  ASSERT_TRUE(make_sink()->durable_cursor(journal));
  std::atomic<bool> done{false};
  std::jthread cutter([&] {
    OtherProgram other(url);
    while (!done) other.cut_others();
  });
  auto sink = make_sink();
  int failures = 0;
  std::uint64_t durable = 1;
  auto next_hundred = [&]() -> Result<void> {
    auto cursor = sink->durable_cursor(journal);
    if (!cursor) return std::unexpected(cursor.error());
    durable = cursor->next_sequence;
    Deliveries hundred(journal);
    while (hundred.cursor().next_sequence < durable) hundred.add("");
    hundred.clear();
    for (std::uint64_t i = 0; i < 100; ++i) hundred.add("P-1 T-1 1700000000", durable + i);
    auto delivered = hundred.to(*sink);
    if (delivered) durable += 100;
    return delivered;
  };
  while (durable <= 1'500) {
    auto delivered = next_hundred();
    if (delivered) continue;
    EXPECT_TRUE(traits(delivered.error().code).retryable) << delivered.error().text;
    sink->reset();
    if (++failures > 200) done = true;  // it has seen enough
  }
  done = true;
  EXPECT_EQ(value("SELECT CONCAT(COUNT(*), ' ', COUNT(DISTINCT sequence), ' ', MAX(sequence)) "
                  "FROM epro_reports"),
            "1500 1500 1500");
  EXPECT_GT(failures, 0);
}

TEST_P(MysqlSinkFailureTest, a_restarted_server_has_what_was_delivered_and_takes_the_rest) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000", 1);
  ASSERT_TRUE(deliveries.to(*sink));
  server().kill();
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000000", 2);
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::unavailable);
  sink->reset();
  EXPECT_EQ(sink->durable_cursor(journal).error().code, ErrorCode::unavailable);
  server().start();
  sink->reset();
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 2U);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "2");
}

TEST_P(MysqlSinkFailureTest, a_lock_that_is_held_too_long_fails_the_delivery_until_it_goes) {
  options.connection.lock_wait_timeout = seconds(1);
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  OtherProgram other(url);
  other.value("START TRANSACTION");
  other.value("SELECT * FROM sink_cursors FOR UPDATE");
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000000");
  auto late = deliveries.to(*sink);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(late.error().text.contains("error 1205")) << late.error().text;
  other.value("ROLLBACK");
  ASSERT_TRUE(deliveries.to(*sink)) << "over the same connection";
}

TEST_P(MysqlSinkFailureTest, a_value_that_a_column_refuses_is_the_records_fault_and_is_not_told) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  value("ALTER TABLE epro_reports ADD CONSTRAINT short CHECK (CHAR_LENGTH(patient_id) < 20)");
  deliveries.add("P-1 T-1 1700000000");
  auto refused_with = [&](std::string body) {
    deliveries.clear();
    deliveries.add("P-1 T-1 1700000000");
    deliveries.add(std::move(body));
    auto refused = deliveries.to(*sink);
    EXPECT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_TRUE(refused.error().text.contains("insert into epro_reports"));
    EXPECT_FALSE(refused.error().text.contains("secret")) << refused.error().text;
    return refused.error().text;
  };
  std::string text = refused_with("P-secret-1234567890 T-1 1700000000 x\xff\xfe");
  EXPECT_TRUE(text.contains("error 1366")) << text;
  text = refused_with("P-secret-123456789012345 T-1 1700000000");
  EXPECT_TRUE(text.contains("error 4025")) << text;
  text = refused_with("P " + std::string(256, 'x') + "secret 1700000000");
  EXPECT_TRUE(text.contains("error 1406")) << text;
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "0");
  EXPECT_EQ(value("SELECT COUNT(*) FROM sink_cursors"), "0");
  deliveries.clear();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink)) << "the others";
}

TEST_P(MysqlSinkFailureTest, a_row_that_no_packet_takes_is_named_with_its_size_and_the_limit) {
  value("SET GLOBAL max_allowed_packet = 1048576");
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  value("SET GLOBAL max_allowed_packet = 16777216");
  deliveries.add(std::string(1 << 20, '\xff'));  // not decodable: stored as it came
  auto refused = deliveries.to(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::payload_too_large);
  EXPECT_TRUE(refused.error().text.contains("max_allowed_packet is 1048576"))
      << refused.error().text;
  deliveries.clear();
  deliveries.add(std::string(1'000'000, '\xff'));
  auto delivered = deliveries.to(*sink);
  ASSERT_TRUE(delivered) << delivered.error().text;
  EXPECT_EQ(value("SELECT LENGTH(original) FROM epro_reports"), "1000000");
}

TEST_P(MysqlSinkFailureTest, a_read_only_server_holds_the_lane_up_and_is_named) {
  value("CREATE OR REPLACE USER 'plain'@'%' IDENTIFIED BY 'secret'");
  value("GRANT ALL ON " + options.connection.address.database + ".* TO 'plain'@'%'");
  options.connection.address.user = "plain";
  options.connection.address.password = "secret";
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  value("SET GLOBAL read_only = 1");
  deliveries.add("P-1 T-1 1700000000");
  auto refused = deliveries.to(*sink);
  value("SET GLOBAL read_only = 0");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(refused.error().text.contains("read-only (error 1290")) << refused.error().text;
  ASSERT_TRUE(deliveries.to(*sink));
}

TEST_P(MysqlSinkFailureTest, what_the_operator_must_mend_is_named_and_retried) {
  storage::mysql::SinkOptions wrong = options;
  wrong.connection.address.password = "wrong-horse";
  auto cursor = make_sink(wrong)->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::unauthenticated);
  EXPECT_TRUE(cursor.error().text.contains("wrong user or password (error 1045"))
      << cursor.error().text;
  EXPECT_FALSE(cursor.error().text.contains("horse"));
  wrong = options;
  wrong.connection.address.database = "nowhere";
  cursor = make_sink(wrong)->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::not_found);
  EXPECT_TRUE(cursor.error().text.contains("no such database (error 1049")) << cursor.error().text;
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  value("DROP TABLE epro_reports");
  deliveries.add("P-1 T-1 1700000000");
  auto refused = deliveries.to(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(refused.error().text.contains("no such table (error 1146")) << refused.error().text;
}

TEST_P(MysqlSinkFailureTest, lanes_are_side_by_side_and_an_identity_that_both_bring_has_one_row) {
  // The same identities in opposite orders: a deadlock, which one of the two loses and retries.
  options.batch_bytes = 3'000;
  auto deliver = [this](unsigned lane, bool backwards) {
    storage::mysql::SinkOptions own = options;
    own.lane = lane;
    own.deadlock_retries = 100;
    auto sink = make_sink(own);
    Uuid from = Uuid::random();
    for (int round = 0; round < 10; ++round) {
      Deliveries mine(from);
      for (std::uint64_t i = 0; i < 200; ++i) {
        std::uint64_t identity = static_cast<std::uint64_t>(round) * 1'000 + 1;
        mine.add("P-1 T-1 1700000000", identity + (backwards ? 199 - i : i));
        mine.add("P-1 T-1 1700000000");
      }
      auto cursor = sink->durable_cursor(from);
      ASSERT_TRUE(cursor) << cursor.error().text;
      std::vector<journal::Record> records(mine.records().begin(), mine.records().end());
      for (journal::Record& record : records) record.sequence += cursor->next_sequence - 1;
      auto delivered = sink->deliver(records, {from, cursor->next_sequence + records.size()});
      ASSERT_TRUE(delivered) << delivered.error().text;
    }
  };
  ASSERT_TRUE(make_sink()->durable_cursor(journal));
  std::jthread first(deliver, 0U, false);
  std::jthread second(deliver, 1U, true);
  first.join();
  second.join();
  EXPECT_EQ(value("SELECT CONCAT(COUNT(*), ' ', COUNT(DISTINCT identity)) FROM epro_reports"),
            "6000 2000");
  EXPECT_EQ(value("SELECT GROUP_CONCAT(lane, ':', next_sequence ORDER BY lane SEPARATOR ' ') "
                  "FROM sink_cursors"),
            "0:4001 1:4001");
}

TEST_P(MysqlSinkFailureTest, giving_up_ends_a_delivery_that_waits_and_those_after_it) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  OtherProgram other(url);
  other.value("LOCK TABLES epro_reports WRITE");
  deliveries.add("P-1 T-1 1700000000");
  std::jthread stopper([&] {
    OtherProgram watcher(url);
    while (watcher.value("SELECT COUNT(*) FROM information_schema.processlist "
                         "WHERE state LIKE 'Waiting for table%'") == "0") {
    }
    sink->give_up();
  });
  auto given_up = deliveries.to(*sink);
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().code, ErrorCode::cancelled) << given_up.error().text;
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::cancelled);
  other.value("UNLOCK TABLES");
  stopper.join();
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "0");
}

TEST_P(MysqlSinkFailureTest, a_statement_that_is_killed_on_the_server_is_not_given_up) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  OtherProgram other(url);
  other.value("LOCK TABLES epro_reports WRITE");
  deliveries.add("P-1 T-1 1700000000");
  std::jthread killer([&] {
    OtherProgram watcher(url);
    std::string id;
    while (id.empty()) {
      id = watcher.value(
          "SELECT id FROM information_schema.processlist "
          "WHERE state LIKE 'Waiting for table%'");
    }
    watcher.value("KILL QUERY " + id);
  });
  auto killed = deliveries.to(*sink);
  ASSERT_FALSE(killed);
  EXPECT_EQ(killed.error().code, ErrorCode::unavailable) << killed.error().text;
  EXPECT_TRUE(killed.error().text.contains("error 1317")) << killed.error().text;
  other.value("UNLOCK TABLES");
  ASSERT_TRUE(deliveries.to(*sink)) << "over the same connection";
}

TEST_P(MysqlSinkFailureTest, a_frozen_server_is_given_up_in_time) {
  options.statement = milliseconds(200);
  options.connection.connect_timeout = milliseconds(200);
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  server().freeze();
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000000");
  auto late = deliveries.to(*sink);
  sink->reset();
  auto cursor = sink->durable_cursor(journal);
  server().thaw();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded) << late.error().text;
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::deadline_exceeded) << cursor.error().text;
  options.statement = seconds(10);
  options.connection.connect_timeout = seconds(10);
  sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "2");
}

TEST_P(MysqlSinkFailureTest, a_schema_newer_than_this_program_is_refused_with_both_versions) {
  ASSERT_TRUE(make_sink()->durable_cursor(journal));
  value("INSERT INTO schema_migrations (version, name) VALUES (99, 'of the future')");
  auto cursor = make_sink()->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_TRUE(cursor.error().text.contains("99")) << cursor.error().text;
}

}  // namespace
}  // namespace trialwire::test
