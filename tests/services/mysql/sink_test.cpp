// SPDX-License-Identifier: Apache-2.0
// The sink against a real server: every row once, byte for byte, with its cursor.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include <fmt/format.h>

#include "services/mysql/fixture.hpp"

namespace trialwire::test {
namespace {

/// With arrays of values, as MariaDB takes them, and with text, as MySQL does.
class MysqlSinkTest : public MysqlTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    MysqlTest::SetUp();
    options.arrays = GetParam();
  }
};

INSTANTIATE_TEST_SUITE_P(Mysql, MysqlSinkTest, testing::Bool(),
                         [](const auto& run) { return run.param ? "arrays" : "text"; });

TEST_P(MysqlSinkTest, rows_and_cursor_are_there_after_a_delivery_and_a_restart) {
  auto sink = make_sink();
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 1U);
  std::int64_t received = deliveries.add("P-1 T-1 1700000000 müde", 7).attributes.received_ns;
  std::string id = record_id({journal, 1, 1, received}).text();
  deliveries.add("P-2 T-1 1700000001", 8);
  auto delivered = deliveries.to(*sink);
  ASSERT_TRUE(delivered) << delivered.error().text;
  sink = make_sink();
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 3U);
  EXPECT_EQ(sink->durable_cursor(Uuid::random()).value().next_sequence, 1U);
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "2");
  EXPECT_EQ(value("SELECT record_id FROM epro_reports WHERE patient_id = 'P-1'"), id);
  EXPECT_EQ(value("SELECT journal_id FROM epro_reports"), journal.text());
  EXPECT_EQ(value("SELECT comments FROM epro_reports WHERE sequence = 1"), "müde");
  EXPECT_EQ(value("SELECT comments FROM epro_reports WHERE sequence = 2"), "NULL");
  EXPECT_EQ(value("SELECT timestamp_ns FROM epro_reports WHERE sequence = 2"),
            "1700000001000000000");
  EXPECT_EQ(value("SELECT origin FROM epro_reports"), "http 127.0.0.1:5123");
  EXPECT_EQ(value("SELECT principal FROM epro_reports"), "NULL");
  EXPECT_EQ(value("SELECT original FROM epro_reports"), "NULL");
  EXPECT_EQ(value("SELECT HEX(identity) FROM epro_reports WHERE sequence = 1"),
            "0700000000000000F8FFFFFFFFFFFFFF");
  EXPECT_EQ(value("SELECT received_at FROM epro_reports WHERE sequence = 1"),
            format_rfc3339_ms(received));
}

TEST_P(MysqlSinkTest, a_submission_is_stored_with_its_place_in_it) {
  auto sink = make_sink();
  journal::Record& record = deliveries.add("P-1 T-1 1700000000");
  record.attributes.submission = Uuid::random();
  record.attributes.submission_index = 2;
  record.attributes.submission_count = 5;
  record.attributes.principal = "nurse";
  record.attributes.flags = 3;
  std::string submission = record.attributes.submission.text();
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT submission_id FROM epro_reports"), submission);
  EXPECT_EQ(value("SELECT CONCAT(submission_index, '/', submission_count) FROM epro_reports"),
            "2/5");
  EXPECT_EQ(value("SELECT CONCAT(principal, flags) FROM epro_reports"), "nurse3");
}

TEST_P(MysqlSinkTest, each_kind_goes_to_its_table_and_one_without_a_mapper_to_none) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000");
  deliveries.add("M-1 T-1 1700000000 [\"a\"]").attributes.kind = journal::RecordKind::trial_metric;
  deliveries.add("V-1 T-1 1700000000").attributes.kind = journal::RecordKind::vital_sign;
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "1");
  EXPECT_EQ(value("SELECT CONCAT(metric_id, annotations) FROM trial_metrics"), "M-1[\"a\"]");
  EXPECT_EQ(value("SELECT COUNT(*) FROM vital_signs"), "0");
  EXPECT_EQ(value("SELECT next_sequence FROM sink_cursors"), "4");
}

TEST_P(MysqlSinkTest, the_same_records_again_add_no_row) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000", 1);
  deliveries.add("P-2 T-1 1700000000");  // without an identity: its record id keeps it single
  ASSERT_TRUE(deliveries.to(*sink));
  auto again = deliveries.to(*sink);
  ASSERT_TRUE(again) << again.error().text;
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "2");
  EXPECT_TRUE(metrics.text().contains("trialwire_mysql_rows_ignored_total 2"));
}

TEST_P(MysqlSinkTest, an_identity_has_one_row_the_first_ones) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000", 9);
  deliveries.add("P-late T-1 1700000001", 9);  // in the same delivery
  ASSERT_TRUE(deliveries.to(*sink));
  deliveries.clear();
  deliveries.add("P-later T-1 1700000002", 9);  // and long after
  deliveries.add("P-2 T-1 1700000003", 10);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "2");
  EXPECT_EQ(value("SELECT patient_id FROM epro_reports WHERE sequence = 1"), "P-1");
  EXPECT_EQ(value("SELECT GROUP_CONCAT(sequence ORDER BY id) FROM epro_reports"), "1,4");
}

TEST_P(MysqlSinkTest, a_row_that_two_others_already_are_changes_neither) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000", 1);
  deliveries.add("P-2 T-1 1700000000", 2);
  ASSERT_TRUE(deliveries.to(*sink));
  std::string before = value("SELECT GROUP_CONCAT(patient_id, HEX(identity)) FROM epro_reports");
  deliveries.clear();
  journal::Record& both = deliveries.add("P-3 T-1 1700000000", 2);
  both.sequence = 1;  // the first one's record id with the second one's identity
  both.attributes.received_ns -= 2'000'000;
  auto delivered = deliveries.to(*sink);
  ASSERT_TRUE(delivered) << delivered.error().text;
  EXPECT_EQ(value("SELECT GROUP_CONCAT(patient_id, HEX(identity)) FROM epro_reports"), before);
}

TEST_P(MysqlSinkTest, only_record_id_and_identity_make_a_row_one_that_is_there) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  value("ALTER TABLE epro_reports ADD UNIQUE KEY other (patient_id)");
  deliveries.add("P-1 T-1 1700000000", 1);
  deliveries.add("P-1 T-1 1700000001", 2);
  auto refused = deliveries.to(*sink);
  ASSERT_FALSE(refused) << "a report would be lost";
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument) << refused.error().text;
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "0");
  // The same connection takes the rest.
  EXPECT_TRUE(sink->rolled_back());
  deliveries.clear();
  deliveries.add("P-1 T-1 1700000000", 1);
  EXPECT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "1");
}

TEST_P(MysqlSinkTest, new_rows_and_old_ones_may_alternate) {
  options.text_deliveries = 2;
  options.batch_bytes = 4'000;
  auto sink = make_sink();
  for (std::uint64_t round = 0; round < 12; ++round) {
    deliveries.clear();
    for (std::uint64_t i = 0; i < 50; ++i) {
      const bool old = round % 3 == 1 && i % 7 == 3;  // an identity of the round before
      deliveries.add("P-1 T-1 1700000000", 1 + (old ? round - 1 : round) * 50 + i);
    }
    auto delivered = deliveries.to(*sink);
    ASSERT_TRUE(delivered) << delivered.error().text;
  }
  EXPECT_EQ(value("SELECT CONCAT(COUNT(*), ' ', COUNT(DISTINCT identity)) FROM epro_reports"),
            "572 572");
  EXPECT_TRUE(metrics.text().contains("trialwire_mysql_rows_ignored_total 28"));
}

TEST_P(MysqlSinkTest, texts_are_kept_and_compared_byte_by_byte) {
  auto sink = make_sink();
  const std::string odd("it's \\ \"q\" 😀\x00\n%_; --", 24);
  deliveries.add("P-1 T-1 1700000000 " + odd);
  deliveries.add("p-1 T-1 1700000000");
  deliveries.add("P-1\u00a0 T-1 1700000000");
  deliveries.add("\u00c5 T-1 1700000000");   // composed
  deliveries.add("A\u030a T-1 1700000000");  // with a combining ring
  auto delivered = deliveries.to(*sink);
  ASSERT_TRUE(delivered) << delivered.error().text;
  EXPECT_EQ(value("SELECT comments FROM epro_reports WHERE sequence = 1"), odd);
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports WHERE patient_id = 'P-1'"), "1");
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports WHERE patient_id = 'P-1 '"), "0");
  EXPECT_EQ(value("SELECT COUNT(DISTINCT patient_id) FROM epro_reports"), "5");
}

TEST_P(MysqlSinkTest, what_cannot_be_decoded_is_stored_as_its_bytes_with_a_flag) {
  auto sink = make_sink();
  const std::string broken("\x00\xff'\\\x1a", 5);
  std::int64_t received = deliveries.add(broken).attributes.received_ns;
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT original FROM epro_reports"), broken);
  EXPECT_EQ(value("SELECT flags FROM epro_reports"), "256");
  EXPECT_EQ(value("SELECT timestamp_ns FROM epro_reports"), std::to_string(received));
  EXPECT_TRUE(
      metrics.text().contains("trialwire_mysql_undecodable_total{table=\"epro_reports\"} 1"));
}

TEST_P(MysqlSinkTest, a_delivery_of_many_statements_is_one_transaction) {
  options.batch_bytes = 4'000;
  auto sink = make_sink();
  for (int i = 0; i < 500; ++i) deliveries.add(fmt::format("P-{} T-1 1700000000", i));
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "500");
  deliveries.clear();
  for (int i = 0; i < 500; ++i) deliveries.add(fmt::format("P-{} T-1 1700000000", i));
  deliveries.add(std::string(300, 'x') + " T-1 1700000000");
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "500");
  EXPECT_EQ(value("SELECT next_sequence FROM sink_cursors"), "501");
}

TEST_P(MysqlSinkTest, a_cursor_that_another_one_moved_is_a_conflict_and_nothing_is_stored) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  value("UPDATE sink_cursors SET next_sequence = 77");
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000000");
  auto refused = deliveries.to(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict) << refused.error().text;
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "1");
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 77U);
  ASSERT_TRUE(deliveries.to(*sink)) << "over the one that it has read now";
}

TEST_P(MysqlSinkTest, a_cursor_where_none_was_known_is_a_conflict_too_and_so_is_one_that_went) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  deliveries.add("P-1 T-1 1700000000");
  auto faster = make_sink();
  ASSERT_TRUE(deliveries.to(*faster));
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::conflict);
  value("DELETE FROM sink_cursors");
  EXPECT_EQ(deliveries.to(*faster).error().code, ErrorCode::conflict);
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000000");
  EXPECT_EQ(deliveries.to(*faster).error().code, ErrorCode::conflict);
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "1");
}

TEST_P(MysqlSinkTest, reals_and_integers_come_back_as_they_were) {
  // trial_metrics has a real; a mapper of words has none, so these are written by another one.
  class Numbers final : public storage::RowMapper {
   public:
    Numbers() {
      for (const auto& column : storage::find_record_table("trial_metrics")->columns) {
        columns_.push_back(column.name);
      }
      table_.name = "trial_metrics";
      table_.columns = columns_;
    }
    journal::RecordKind kind() const noexcept override { return journal::RecordKind::trial_metric; }
    const storage::RowTable& table() const noexcept override { return table_; }
    bool map(const journal::Record& record, std::span<storage::Value> row) override {
      for (std::size_t i = 0; i < columns_.size(); ++i) {
        if (columns_[i] == "timestamp_ns") row[i] = std::numeric_limits<std::int64_t>::min();
        if (columns_[i] == "value") row[i] = load_le<double>(record.bytes.data());
      }
      return true;
    }

   private:
    std::vector<std::string_view> columns_;
    storage::RowTable table_;
  };
  std::vector<std::unique_ptr<storage::RowMapper>> mappers;
  mappers.push_back(std::make_unique<Numbers>());
  auto sink = storage::mysql::make_sink(options, std::move(mappers), metrics);
  auto add = [this](double number) {
    std::string bytes(8, '\0');
    store_le(bytes.data(), number);
    deliveries.add(std::move(bytes)).attributes.kind = journal::RecordKind::trial_metric;
  };
  constexpr std::array numbers{
      36.6, 0.1, 1e300, 5e-324, -0.25, 1.7976931348623157e308, 123456789.12345679};
  for (double number : numbers) add(number);
  auto delivered = deliveries.to(*sink);
  ASSERT_TRUE(delivered) << delivered.error().text;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::string text =
        value(fmt::format("SELECT value FROM trial_metrics WHERE sequence = {}", i + 1));
    EXPECT_EQ(std::strtod(text.c_str(), nullptr), numbers[i]) << text;
  }
  EXPECT_EQ(value("SELECT timestamp_ns FROM trial_metrics"), "-9223372036854775808");
  deliveries.clear();
  add(std::nan(""));
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::invalid_argument);
}

TEST_P(MysqlSinkTest, a_cursor_may_come_alone_and_a_record_from_before_it) {
  auto sink = make_sink();
  EXPECT_TRUE(sink->deliver({}, {journal, 7}));
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 7U);
  deliveries.add("P-1 T-1 1700000000");
  EXPECT_TRUE(sink->deliver(deliveries.records(), {journal, 7}));
  EXPECT_TRUE(sink->deliver({}, {journal, 7}));
  EXPECT_EQ(make_sink()->durable_cursor(journal).value().next_sequence, 7U);
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "1");
}

TEST_P(MysqlSinkTest, each_lane_and_each_journal_has_a_cursor_of_its_own) {
  auto first = make_sink();
  storage::mysql::SinkOptions other = options;
  other.lane = 1;
  auto second = make_sink(other);
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*first));
  EXPECT_EQ(second->durable_cursor(journal).value().next_sequence, 1U);
  Deliveries foreign{Uuid::random()};
  foreign.add("P-1 T-1 1700000000");
  foreign.add("P-2 T-1 1700000000");
  ASSERT_TRUE(foreign.to(*first));
  EXPECT_EQ(first->durable_cursor(journal).value().next_sequence, 2U);
  EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "3");
}

}  // namespace
}  // namespace trialwire::test
