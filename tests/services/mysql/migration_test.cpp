// SPDX-License-Identifier: Apache-2.0
// The schema of a MariaDB database with data in it, on its way to a later one. Each statement
// commits by itself, so that each can be repeated.
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "services/migration_case.hpp"
#include "services/mysql/fixture.hpp"

namespace trialwire::test {
namespace {

using storage::Dialect;
using storage::MigrationStep;

const std::vector<MigrationStep> later{
    {"reviews",
     {"ALTER TABLE epro_reports ADD COLUMN IF NOT EXISTS reviewed_at varchar(64)",
      "UPDATE epro_reports SET reviewed_at = received_at",
      "ALTER TABLE epro_reports MODIFY reviewed_at varchar(64) NOT NULL"}},
    {"reports of a patient",
     {"CREATE TABLE IF NOT EXISTS patient_reports (patient_id varchar(255) PRIMARY KEY, "
      "reports bigint NOT NULL) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
      "INSERT IGNORE INTO patient_reports "
      "SELECT patient_id, COUNT(*) FROM epro_reports GROUP BY 1",
      "CREATE INDEX IF NOT EXISTS patient_reports_by_number ON patient_reports (reports)"}}};

class MysqlMigrationTest : public MigrationCase<MysqlTest> {
 protected:
  void use_url() override {
    options.connection.address = storage::mysql::parse_server_address(url).value();
  }
  void cut_connections() override { OtherProgram(url).cut_others(); }
  std::vector<MigrationStep> steps() const { return with(Dialect::mariadb, later); }
  /// Everything that was there before.
  std::string before() {
    const std::string all = value(
        "SELECT CONCAT_WS(' ', (SELECT CONCAT_WS(' ', COUNT(*), SUM(CRC32(CONCAT_WS('|', "
        "record_id, journal_id, sequence, received_at, patient_id, comments, timestamp_ns, "
        "HEX(identity))))) FROM epro_reports), (SELECT CONCAT_WS(' ', COUNT(*), "
        "SUM(CRC32(CONCAT_WS('|', record_id, sequence, metric_id, annotations)))) "
        "FROM trial_metrics), (SELECT GROUP_CONCAT(CONCAT_WS('|', sink, lane, next_sequence)) "
        "FROM sink_cursors), (SELECT HEX(value) FROM secrets))");
    EXPECT_NE(all.find_first_of(' '), std::string::npos) << all;
    EXPECT_EQ(all.find_first_not_of("0123456789"), all.find(' ')) << all;  // a number first
    return all;
  }
  void check_later(const std::string& reports) {
    EXPECT_EQ(versions(), "4");
    EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports WHERE reviewed_at = received_at"), reports);
    EXPECT_EQ(value("SELECT SUM(reports) FROM patient_reports"), reports);
    EXPECT_EQ(value("SELECT COUNT(*) FROM information_schema.statistics "
                    "WHERE table_schema = DATABASE() AND index_name = 'patient_reports_by_number'"),
              "1");
  }
};

TEST_F(MysqlMigrationTest, later_steps_change_filled_tables_and_keep_what_is_in_them) {
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

TEST_F(MysqlMigrationTest, cut_off_anywhere_it_loses_nothing_and_is_finished_when_it_is_run_again) {
  cut_everywhere(steps(), [this](bool finished) {
    EXPECT_EQ(value("SELECT COUNT(*) FROM epro_reports"), "200");
    EXPECT_EQ(value("SELECT COUNT(*) FROM trial_metrics"), "50");
    EXPECT_EQ(value("SELECT next_sequence FROM sink_cursors"), "251");
    if (finished) check_later("200");
  });
}

TEST_F(MysqlMigrationTest, of_programs_that_migrate_filled_tables_at_once_one_does) {
  fill(1'000);
  const std::string was = before();
  migrate_at_once(steps());
  check_later("1000");
  EXPECT_EQ(before(), was);
}

TEST_F(MysqlMigrationTest, a_step_that_the_data_refuses_is_not_listed_and_those_before_it_are) {
  fill(100);
  const std::string was = before();
  auto refused = steps();
  refused.push_back({"of one patient one report",
                     {"CREATE UNIQUE INDEX one_report ON epro_reports (patient_id)"}});
  auto dialogue = connect();
  EXPECT_FALSE(storage::migrate(*dialogue.session, refused));
  check_later("100");
  EXPECT_EQ(before(), was);
}

TEST_F(MysqlMigrationTest, a_schema_of_before_the_audit_trail_gets_its_table_and_keeps_the_rest) {
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
