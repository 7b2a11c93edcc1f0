// SPDX-License-Identifier: Apache-2.0
// The sink against a real server: rows each once, and what bad days do to a delivery.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <semaphore>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "services/postgres/fixture.hpp"

namespace trialwire::test {
namespace {

using std::chrono::milliseconds;

using PostgresSinkTest = PostgresTest;

TEST_F(PostgresSinkTest, rows_and_cursor_are_there_after_a_delivery_and_a_restart) {
  auto sink = make_sink();
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 1U);
  std::int64_t received = deliveries.add("P-1 T-1 1700000000 müde", 7).attributes.received_ns;
  std::string id = record_id({journal, 1, 1, received}).text();
  deliveries.add("P-2 T-1 1700000001", 8);
  ASSERT_TRUE(deliveries.to(*sink));
  sink = make_sink();
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 3U);
  EXPECT_EQ(sink->durable_cursor(Uuid::random()).value().next_sequence, 1U);
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_EQ(value("SELECT record_id FROM epro_reports WHERE patient_id = 'P-1'"), id);
  EXPECT_EQ(value("SELECT journal_id FROM epro_reports"), journal.text());
  EXPECT_EQ(value("SELECT comments FROM epro_reports WHERE sequence = 1"), "müde");
  EXPECT_EQ(value("SELECT comments FROM epro_reports WHERE sequence = 2"), "NULL");
  EXPECT_EQ(value("SELECT timestamp_ns FROM epro_reports WHERE sequence = 2"),
            "1700000001000000000");
  EXPECT_EQ(value("SELECT encode(identity, 'hex') FROM epro_reports WHERE sequence = 1"),
            "0700000000000000f8ffffffffffffff");
  EXPECT_EQ(value("SELECT received_at FROM epro_reports ORDER BY sequence"),
            format_rfc3339_ms(received));
}

TEST_F(PostgresSinkTest, all_kinds_of_one_delivery_are_stored_with_their_place_in_a_submission) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000");
  for (std::uint32_t i = 0; i < 3; ++i) {
    auto& attributes = deliveries.add("m-1 T-1 1700000000 [\"a\"]").attributes;
    attributes.kind = journal::RecordKind::trial_metric;
    attributes.submission = journal;
    attributes.submission_index = i;
    attributes.submission_count = 3;
    attributes.principal = "nurse";
    attributes.flags = 3;
  }
  deliveries.add("x").attributes.kind = journal::RecordKind::audit;  // no table of this sink's
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
  EXPECT_EQ(value("SELECT count(DISTINCT submission_index) FROM trial_metrics "
                  "WHERE submission_count = 3 AND principal = 'nurse' AND flags = 3"),
            "3");
  EXPECT_EQ(value("SELECT annotations FROM trial_metrics"), "[\"a\"]");
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 6U);
}

TEST_F(PostgresSinkTest, the_same_records_again_add_no_row) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000", 1);
  deliveries.add("P-2 T-1 1700000000");  // without an identity: its record id keeps it single
  ASSERT_TRUE(deliveries.to(*sink));
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_TRUE(metrics.text().contains("trialwire_postgres_rows_ignored_total 2"));
}

TEST_F(PostgresSinkTest, an_identity_has_one_row_the_first_ones) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000", 9);
  deliveries.add("P-late T-1 1700000001", 9);  // in the same delivery
  ASSERT_TRUE(deliveries.to(*sink));
  deliveries.clear();
  deliveries.add("P-later T-1 1700000002", 9);  // and long after
  deliveries.add("P-2 T-1 1700000003", 10);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT string_agg(patient_id, ' ' ORDER BY id) FROM epro_reports"), "P-1 P-2");
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 5U);
}

TEST_F(PostgresSinkTest, a_record_that_cannot_be_decoded_is_stored_as_its_bytes_and_flagged) {
  auto sink = make_sink();
  deliveries.add(std::string("non\0sense", 9));
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT encode(original, 'escape') FROM epro_reports WHERE flags & 256 <> 0"),
            "non\\000sense");
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
}

TEST_F(PostgresSinkTest, a_cursor_may_come_without_records_and_records_again_under_their_cursor) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  ASSERT_TRUE(sink->deliver({}, {journal, 41}));
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 41U);
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(sink->deliver(deliveries.records(), {journal, 41}));
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 41U);
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
}

TEST_F(PostgresSinkTest, another_cursor_than_the_known_one_is_a_conflict_and_stores_nothing) {
  auto sink = make_sink();
  auto zombie = make_sink();
  ASSERT_TRUE(zombie->durable_cursor(journal));
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  Deliveries late(journal);
  late.add("P-9 T-1 1700000000");
  auto refused = late.to(*zombie);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  // One that knew a cursor, which has moved meanwhile.
  ASSERT_EQ(zombie->durable_cursor(journal).value().next_sequence, 2U);
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000001");
  ASSERT_TRUE(deliveries.to(*sink));
  ASSERT_EQ(late.to(*zombie).error().code, ErrorCode::conflict);
  EXPECT_EQ(value("SELECT string_agg(patient_id, ' ' ORDER BY id) FROM epro_reports"), "P-1 P-2");
}

/// Stops at its first row until it may go on.
class FreezingMapper final : public storage::RowMapper {
 public:
  FreezingMapper(std::binary_semaphore& amid_rows, std::binary_semaphore& goes_on)
      : amid_rows_(amid_rows), goes_on_(goes_on) {}
  journal::RecordKind kind() const noexcept override { return words_.kind(); }
  const storage::RowTable& table() const noexcept override { return words_.table(); }
  bool map(const journal::Record& record, std::span<storage::Value> row) override {
    amid_rows_.release();
    goes_on_.acquire();
    return words_.map(record, row);
  }

 private:
  WordsMapper words_{journal::RecordKind::epro_report, "epro_reports", "comments"};
  std::binary_semaphore& amid_rows_;
  std::binary_semaphore& goes_on_;
};

TEST_F(PostgresSinkTest, one_that_is_frozen_amid_its_rows_holds_up_nobody_and_then_stores_nothing) {
  std::binary_semaphore amid_rows(0), goes_on(0);
  std::vector<std::unique_ptr<storage::RowMapper>> mappers;
  mappers.push_back(std::make_unique<FreezingMapper>(amid_rows, goes_on));
  auto frozen = storage::postgres::make_sink(options, std::move(mappers), metrics);
  ASSERT_TRUE(frozen->durable_cursor(journal));
  deliveries.add("P-1 T-1 1700000000", 1);
  Result<void> woken;
  std::thread zombie([&] { woken = deliveries.to(*frozen); });
  amid_rows.acquire();
  auto sink = make_sink();
  Deliveries same(journal);
  same.add("P-1 T-1 1700000000", 1);
  const auto begun = std::chrono::steady_clock::now();
  const bool stored = sink->durable_cursor(journal).has_value() && same.to(*sink).has_value();
  const auto took = std::chrono::steady_clock::now() - begun;
  goes_on.release();
  zombie.join();
  EXPECT_TRUE(stored);
  EXPECT_LT(took, std::chrono::seconds(10));
  ASSERT_FALSE(woken);
  EXPECT_EQ(woken.error().code, ErrorCode::conflict) << woken.error().text;
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
}

TEST_F(PostgresSinkTest, a_cut_connection_is_an_error_and_the_same_delivery_then_stores_once) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000", 1);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_NE(OtherProgram(url).cut_others(), "0");
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000000", 2);
  auto cut = deliveries.to(*sink);
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, ErrorCode::unavailable) << cut.error().text;
  sink->reset();
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 2U);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
}

TEST_F(PostgresSinkTest, cut_at_random_moments_every_record_is_there_once) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  std::atomic<bool> stop{false};
  std::jthread cutter([&] {
    OtherProgram other(url);
    while (!stop) other.cut_others();
  });
  int failures = 0;
  for (std::uint64_t batch = 0; batch < 30;) {
    std::uint64_t first = deliveries.cursor().next_sequence;
    deliveries.clear();
    for (std::uint64_t i = 0; i < 50; ++i) {
      deliveries.add(fmt::format("P-{} T-1 1700000000", i), first + i);
    }
    while (!deliveries.to(*sink)) {
      // As a lane does: what the cursor says decides whether the same comes again.
      if (++failures == 20) stop = true;
      sink->reset();
      auto cursor = sink->durable_cursor(journal);
      while (!cursor) {
        sink->reset();
        cursor = sink->durable_cursor(journal);
      }
      if (cursor->next_sequence == deliveries.cursor().next_sequence) break;
      ASSERT_EQ(cursor->next_sequence, first);
    }
    ++batch;
  }
  stop = true;
  cutter.join();
  EXPECT_EQ(value("SELECT count(*) || ' ' || count(DISTINCT sequence) || ' ' || max(sequence) "
                  "FROM epro_reports"),
            "1500 1500 1500");
  EXPECT_GT(failures, 0);
}

TEST_F(PostgresSinkTest, a_restarted_server_has_what_was_delivered_and_takes_the_rest) {
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
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
}

TEST_F(PostgresSinkTest, a_lock_that_is_held_too_long_ends_with_the_statements_timeout) {
  options.connection.statement_timeout = milliseconds(200);
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  OtherProgram other(url);
  other.value("BEGIN");
  other.value("LOCK TABLE epro_reports IN ACCESS EXCLUSIVE MODE");
  deliveries.add("P-1 T-1 1700000000");
  auto late = deliveries.to(*sink);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded) << late.error().text;
  other.value("ROLLBACK");
  sink->reset();
  ASSERT_TRUE(sink->durable_cursor(journal));
  ASSERT_TRUE(deliveries.to(*sink));
}

TEST_F(PostgresSinkTest, a_value_that_a_column_refuses_is_the_records_own_fault_and_is_not_told) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  value("ALTER TABLE epro_reports ADD CONSTRAINT short CHECK (length(patient_id) < 9)");
  deliveries.add("P-1 T-1 1700000000");
  deliveries.add("P-secret-1234 T-1 1700000000");
  auto refused = deliveries.to(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(refused.error().text.contains("check_violation (SQLSTATE 23514)"));
  EXPECT_TRUE(refused.error().text.contains("table epro_reports, constraint short"));
  EXPECT_FALSE(refused.error().text.contains("secret")) << refused.error().text;
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM sink_cursors"), "0");
  // The same connection takes the rest.
  EXPECT_TRUE(sink->rolled_back());
  deliveries.clear();
  deliveries.add("P-1 T-1 1700000000");
  EXPECT_TRUE(deliveries.to(*sink));
  EXPECT_FALSE(sink->rolled_back());
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
}

TEST_F(PostgresSinkTest, a_row_that_another_unique_key_keeps_out_is_refused_and_a_retry_is_not) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000", 1);
  deliveries.add("P-2 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  value("CREATE UNIQUE INDEX one_a_patient ON epro_reports (patient_id)");
  deliveries.clear();
  deliveries.add("P-1 T-1 1700000000", 1);
  EXPECT_TRUE(deliveries.to(*sink)) << "its identity has a row";
  deliveries.clear();
  deliveries.add("P-3 T-1 1700000000", 3);
  deliveries.add("P-2 T-1 1800000000", 4);
  auto refused = deliveries.to(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(refused.error().text.contains("a unique key of table epro_reports"))
      << refused.error().text;
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_EQ(sink->durable_cursor(journal).value().next_sequence, 4U);
  value("DROP INDEX one_a_patient");
  EXPECT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "4");
}

TEST_F(PostgresSinkTest, texts_that_postgresql_cannot_store_are_the_records_own_fault) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  deliveries.add(std::string("P-1 T-1 1700000000 a\0b", 22));
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::invalid_argument);
  deliveries.clear();
  ASSERT_TRUE(sink->durable_cursor(journal));
  deliveries.add("P-1 T-1 1700000000 \xff\xfe");
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::invalid_argument);
  deliveries.clear();
  ASSERT_TRUE(sink->durable_cursor(journal));
  std::string wide;  // does not compress, and an index takes at most a third of a page
  for (unsigned i = 0; wide.size() < 9'000; ++i) wide += fmt::format("{:x}", i * 2'654'435'761U);
  deliveries.add(wide + " T-1 1700000000");
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::payload_too_large);
}

TEST_F(PostgresSinkTest, a_table_that_is_not_as_it_was_made_holds_the_lane_up_and_is_named) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  value("ALTER TABLE epro_reports RENAME COLUMN comments TO remarks");
  deliveries.add("P-1 T-1 1700000000");
  auto refused = deliveries.to(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::internal);
  EXPECT_TRUE(refused.error().text.contains("undefined_column")) << refused.error().text;
}

TEST_F(PostgresSinkTest, a_wrong_password_and_a_missing_database_are_named) {
  options.connection.url.replace(options.connection.url.find("correct-horse"), 13, "wrong-horse");
  auto cursor = make_sink()->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::unauthenticated);
  EXPECT_TRUE(cursor.error().text.contains("invalid_password (SQLSTATE 28P01)"))
      << cursor.error().text;
  EXPECT_FALSE(cursor.error().text.contains("horse"));
  options.connection.url = server().url("nowhere");
  cursor = make_sink()->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::not_found);
  EXPECT_TRUE(cursor.error().text.contains("no such database (SQLSTATE 3D000)"))
      << cursor.error().text;
}

TEST_F(PostgresSinkTest, a_right_that_is_missing_is_no_fault_of_the_records) {
  ASSERT_TRUE(make_sink()->durable_cursor(journal));
  value(
      "CREATE ROLE reader LOGIN PASSWORD 'correct-horse'; "
      "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader");
  options.connection.url = server().url(url.substr(url.rfind('/') + 1), "reader");
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  deliveries.add("P-1 T-1 1700000000");
  auto refused = deliveries.to(*sink);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::forbidden) << refused.error().text;
  EXPECT_TRUE(refused.error().text.contains("insufficient_privilege")) << refused.error().text;
  value(
      "GRANT INSERT ON ALL TABLES IN SCHEMA public TO reader; GRANT UPDATE ON sink_cursors TO "
      "reader");
  sink->reset();
  ASSERT_TRUE(sink->durable_cursor(journal));
  ASSERT_TRUE(deliveries.to(*sink)) << "with what docs/databases.md says that it needs";
}

TEST_F(PostgresSinkTest, a_statement_that_is_cancelled_on_the_server_is_not_given_up) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  OtherProgram other(url);
  other.value("BEGIN; LOCK TABLE epro_reports IN ACCESS EXCLUSIVE MODE");
  deliveries.add("P-1 T-1 1700000000");
  std::jthread canceller([&] {
    OtherProgram watcher(url);
    while (watcher.value("SELECT count(pg_cancel_backend(pid)) FROM pg_locks WHERE NOT granted") ==
           "0") {
    }
  });
  auto cancelled = deliveries.to(*sink);
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, ErrorCode::deadline_exceeded) << cancelled.error().text;
  other.value("ROLLBACK");
  sink->reset();
  ASSERT_TRUE(sink->durable_cursor(journal));
  ASSERT_TRUE(deliveries.to(*sink));
}

TEST_F(PostgresSinkTest, lanes_are_side_by_side_and_an_identity_that_both_bring_has_one_row) {
  // The same identities in opposite orders: one of the two may be ended as a deadlock, and retries.
  auto deliver = [this](unsigned lane, bool backwards) {
    storage::postgres::SinkOptions own = options;
    own.lane = lane;
    auto sink = make_sink(own);
    Uuid from = Uuid::random();
    Deliveries mine(from);
    for (int round = 0; round < 10; ++round) {
      mine.clear();
      for (std::uint64_t i = 0; i < 200; ++i) {
        std::uint64_t identity = static_cast<std::uint64_t>(round) * 1'000 + 1;
        mine.add("P-1 T-1 1700000000", identity + (backwards ? 199 - i : i));
      }
      ASSERT_TRUE(sink->durable_cursor(from));
      for (int attempt = 0; !mine.to(*sink); ++attempt) {
        ASSERT_LT(attempt, 20);
        sink->reset();
        ASSERT_TRUE(sink->durable_cursor(from));
      }
    }
  };
  ASSERT_TRUE(make_sink()->durable_cursor(journal));
  std::jthread first(deliver, 0U, false);
  std::jthread second(deliver, 1U, true);
  first.join();
  second.join();
  EXPECT_EQ(value("SELECT count(*) || ' ' || count(DISTINCT identity) FROM epro_reports"),
            "2000 2000");
  EXPECT_EQ(value("SELECT string_agg(lane || ':' || next_sequence, ' ' ORDER BY lane) "
                  "FROM sink_cursors"),
            "0:2001 1:2001");
}

TEST_F(PostgresSinkTest, giving_up_ends_a_delivery_that_waits_and_those_after_it) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  OtherProgram other(url);
  other.value("BEGIN");
  other.value("LOCK TABLE epro_reports IN ACCESS EXCLUSIVE MODE");
  deliveries.add("P-1 T-1 1700000000");
  std::jthread stopper([&] {
    OtherProgram watcher(url);
    while (watcher.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0") {
    }
    sink->give_up();
  });
  auto given_up = deliveries.to(*sink);
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().code, ErrorCode::cancelled);
  EXPECT_EQ(deliveries.to(*sink).error().code, ErrorCode::cancelled);
  other.value("ROLLBACK");
  stopper.join();
  // What the server made of it is not known, but it is whole.
  while (other.value("SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                     "datname = current_database()") != "0") {
  }
  std::string rows = value("SELECT count(*) FROM epro_reports");
  EXPECT_EQ(std::to_string(make_sink()->durable_cursor(journal).value().next_sequence - 1), rows);
}

TEST_F(PostgresSinkTest, a_frozen_server_is_given_up_in_time) {
  options.connection.statement_timeout = milliseconds(100);
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  server().freeze();  // the sessions' own processes go on; a new one is not taken
  sink->reset();
  storage::postgres::SinkOptions impatient = options;
  impatient.connection.connect_timeout = milliseconds(100);
  auto cursor = make_sink(impatient)->durable_cursor(journal);
  server().thaw();
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::deadline_exceeded);
  EXPECT_TRUE(cursor.error().text.contains("no answer in time")) << cursor.error().text;
  EXPECT_TRUE(sink->durable_cursor(journal));
}

TEST_F(PostgresSinkTest, a_schema_that_is_newer_than_this_program_is_refused_with_both_versions) {
  ASSERT_TRUE(make_sink()->durable_cursor(journal));
  value("INSERT INTO schema_migrations (version, name) VALUES (99, 'of the future')");
  auto cursor = make_sink()->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_TRUE(cursor.error().text.contains("99")) << cursor.error().text;
}

TEST_F(PostgresSinkTest, a_database_of_another_encoding_is_refused_by_name) {
  value("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
  options.connection.url = server().url("latin");
  auto cursor = make_sink()->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_TRUE(cursor.error().text.contains("LATIN1")) << cursor.error().text;
}

}  // namespace
}  // namespace trialwire::test
