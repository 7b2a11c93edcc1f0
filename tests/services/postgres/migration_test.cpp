// SPDX-License-Identifier: Apache-2.0
// The schema of a PostgreSQL database with data in it, on its way to a later one.
#include <gtest/gtest.h>

#include <chrono>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "services/migration_case.hpp"
#include "services/postgres/fixture.hpp"

namespace trialwire::test {
namespace {

using storage::Dialect;
using storage::MigrationStep;

const std::vector<MigrationStep> later{
    {"reviews",
     {"ALTER TABLE epro_reports ADD COLUMN reviewed_at text",
      "UPDATE epro_reports SET reviewed_at = received_at",
      "ALTER TABLE epro_reports ALTER COLUMN reviewed_at SET NOT NULL"}},
    {"reports of a patient",
     {"CREATE TABLE patient_reports (patient_id text PRIMARY KEY, reports bigint NOT NULL)",
      "INSERT INTO patient_reports SELECT patient_id, count(*) FROM epro_reports GROUP BY 1",
      "CREATE INDEX patient_reports_by_number ON patient_reports (reports)"}}};

class PostgresMigrationTest : public MigrationCase<PostgresTest> {
 protected:
  void use_url() override { options.connection.url = url; }
  void cut_connections() override { OtherProgram(url).cut_others(); }
  std::vector<MigrationStep> steps() const { return with(Dialect::postgres, later); }
  /// Everything that was there before.
  std::string before() {
    const std::string all = value(
        "SELECT (SELECT md5(string_agg(concat_ws('|', record_id, journal_id, sequence, "
        "received_at, patient_id, comments, timestamp_ns, identity), ',' ORDER BY sequence)) "
        "FROM epro_reports) || (SELECT md5(string_agg(concat_ws('|', record_id, sequence, "
        "metric_id, annotations), ',' ORDER BY sequence)) FROM trial_metrics) || "
        "(SELECT string_agg(concat_ws('|', sink, lane, next_sequence), ',') FROM sink_cursors) "
        "|| (SELECT md5(value) FROM secrets)");
    EXPECT_EQ(all.find_first_not_of("0123456789abcdef"), 64U) << all;  // two hashes first
    return all;
  }
  bool has_later() {
    return value("SELECT to_regclass('patient_reports')") != "NULL" ||
           value("SELECT count(*) FROM pg_attribute WHERE attname = 'reviewed_at'") != "0";
  }
  void check_later(const std::string& reports) {
    EXPECT_EQ(versions(), "4");
    EXPECT_EQ(value("SELECT count(*) FROM epro_reports WHERE reviewed_at = received_at"), reports);
    EXPECT_EQ(value("SELECT sum(reports) FROM patient_reports"), reports);
    EXPECT_EQ(value("SELECT to_regclass('patient_reports_by_number')"),
              "patient_reports_by_number");
  }
};

TEST_F(PostgresMigrationTest, later_steps_change_filled_tables_and_keep_what_is_in_them) {
  fill(5'000);
  const std::string was = before();
  auto dialogue = connect();
  EXPECT_EQ(storage::migrate(*dialogue.session, steps()), 2);
  check_later("5000");
  EXPECT_EQ(before(), was);
  EXPECT_EQ(storage::migrate(*dialogue.session, steps()), 4) << "nothing is left to do";
  check_later("5000");

  auto cursor = make_sink()->durable_cursor(journal);
  ASSERT_FALSE(cursor) << "this program does not know those steps";
  EXPECT_TRUE(cursor.error().text.contains("has schema 4")) << cursor.error().text;
  EXPECT_TRUE(cursor.error().text.contains("knows up to 2")) << cursor.error().text;
}

TEST_F(PostgresMigrationTest, cut_off_anywhere_it_leaves_the_schema_of_before_and_is_run_again) {
  cut_everywhere(steps(), [this](bool finished) {
    EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "200");
    EXPECT_EQ(value("SELECT count(*) FROM trial_metrics"), "50");
    if (finished) return check_later("200");
    EXPECT_EQ(versions(), "2");
    EXPECT_FALSE(has_later());
    EXPECT_EQ(make_sink()->durable_cursor(journal)->next_sequence, 251U);
  });
}

TEST_F(PostgresMigrationTest, of_programs_that_migrate_filled_tables_at_once_one_does) {
  fill(1'000);
  const std::string was = before();
  migrate_at_once(steps());
  check_later("1000");
  EXPECT_EQ(before(), was);
}

TEST_F(PostgresMigrationTest, a_sink_s_migration_may_take_longer_than_a_delivery) {
  OtherProgram other(url);
  other.value("SELECT pg_advisory_lock(7453010385829748066)");  // that of steps
  options.connection.statement_timeout = std::chrono::milliseconds(200);
  auto sink = make_sink();
  std::jthread unlock([&other] {
    std::this_thread::sleep_for(std::chrono::seconds(6));  // longer than the server is waited for
    other.value("SELECT pg_advisory_unlock_all()");
  });
  const auto cursor = sink->durable_cursor(journal);
  ASSERT_TRUE(cursor) << cursor.error().text;
  unlock.join();
  // Deliveries have their own limit, as ever.
  other.value("BEGIN; LOCK TABLE epro_reports");
  deliveries.add("P-1 T-1 1700000000", 1);
  const auto late = deliveries.to(*sink);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded) << late.error().text;
}

TEST_F(PostgresMigrationTest, a_step_that_the_data_refuses_changes_nothing) {
  fill(100);
  const std::string was = before();
  auto refused = steps();
  refused.push_back({"of one patient one report",
                     {"CREATE UNIQUE INDEX one_report ON epro_reports (patient_id)"}});
  auto dialogue = connect();
  EXPECT_FALSE(storage::migrate(*dialogue.session, refused));
  EXPECT_EQ(versions(), "2");
  EXPECT_FALSE(has_later());
  EXPECT_EQ(before(), was);
  EXPECT_EQ(storage::migrate(*dialogue.session, steps()), 2);
  check_later("100");
}

TEST_F(PostgresMigrationTest,
       a_schema_of_before_the_audit_trail_gets_its_table_and_keeps_the_rest) {
  {
    auto dialogue = connect();
    const auto own = storage::migrations(dialogue.session->dialect());
    ASSERT_EQ(own.back().name, "audit trail");
    ASSERT_TRUE(storage::migrate(*dialogue.session, own.first(own.size() - 1)));
  }
  EXPECT_EQ(versions(), "1");
  fill(1'000);  // the sink migrates before it delivers
  EXPECT_EQ(versions(), "2");
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1000");
  EXPECT_EQ(value("SELECT count(*) FROM audit_records"), "0");
}

}  // namespace
}  // namespace trialwire::test
