// SPDX-License-Identifier: Apache-2.0
// The schema of SQLite files: that it is what record_table.hpp says, and that a file of an earlier
// program becomes one of this, with what is in it.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "storage/sql/migrations.hpp"
#include "storage/sql/sqlite/session.hpp"
#include "storage/sql/sqlite/test_reports.hpp"

namespace trialwire::storage::sqlite {
namespace {

using test::OtherProgram;

class SqliteMigrationTest : public testing::Test {
 protected:
  SqliteMigrationTest() { options.path = directory / "trialwire.db"; }
  Result<std::int64_t> migrate_file() {
    auto database = Database::open_writer(options);
    if (!database) return std::unexpected(database.error());
    DatabaseSession session(*database);
    return migrate(session);
  }
  /// As the program of that version left it.
  void make_version(std::int64_t version) {
    OtherProgram other(options.path);
    ASSERT_TRUE(other.execute(std::string(migrations_table(Dialect::sqlite)).c_str()));
    auto steps = migrations(Dialect::sqlite);
    for (std::int64_t step = 1; step <= version; ++step) {
      for (const auto& sql : steps[static_cast<std::size_t>(step - 1)].statements) {
        ASSERT_TRUE(other.execute(sql.c_str())) << sql;
      }
      ASSERT_TRUE(other.execute(
          fmt::format("INSERT INTO schema_migrations (version, name) VALUES ({}, 'x')", step)
              .c_str()));
    }
  }
  std::string value(const std::string& sql) {
    return OtherProgram(options.path).value(sql.c_str());
  }

  test::TemporaryDirectory directory;
  DatabaseOptions options;
};

TEST_F(SqliteMigrationTest, tables_have_the_columns_that_are_described_in_their_order) {
  ASSERT_EQ(migrate_file(), 0);
  for (const RecordTable& table : record_tables()) {
    std::string expected = "id INTEGER 0";
    for (std::span<const RecordColumn> columns : {common_columns(), table.columns}) {
      for (const RecordColumn& column : columns) {
        if (column.type == ColumnType::hash) continue;
        expected += fmt::format(",{} {} {}", column.name, column_type(Dialect::sqlite, column.type),
                                column.required ? 1 : 0);
      }
    }
    EXPECT_EQ(value(fmt::format("SELECT group_concat(name || ' ' || type || ' ' || \"notnull\") "
                                "FROM pragma_table_info('{}')",
                                table.name)),
              expected);
    for (const RecordIndex& index : table.indexes) {
      std::string columns;
      for (std::string_view column : index.columns) {
        columns.append(columns.empty() ? "" : ",").append(column);
      }
      EXPECT_EQ(
          value(fmt::format("SELECT group_concat(name) FROM pragma_index_info('{}')", index.name)),
          columns);
    }
    EXPECT_EQ(
        value(fmt::format("SELECT count(*) FROM pragma_table_info('{}')", identities_table(table))),
        "2");
  }
}

TEST_F(SqliteMigrationTest, a_file_of_version_3_keeps_what_is_in_it) {
  make_version(3);
  const Uuid journal = Uuid::random();
  std::string key = value("SELECT hex(value) FROM secrets WHERE name = 'page_cursor'");
  ASSERT_TRUE(
      OtherProgram(options.path)
          .execute(fmt::format("INSERT INTO epro_reports (id, record_id, journal_id, sequence, "
                               "received_at, flags, patient_id, timestamp_ns) VALUES "
                               "(1, 'r-1', '{0}', 1, '2026-03-01T07:15:30.250Z', 0, 'P-old', 5);"
                               "INSERT INTO epro_report_identities VALUES (randomblob(16), 1);"
                               "INSERT INTO sink_cursors VALUES ('sqlite', 0, '{0}', 2)",
                               journal.text())
                       .c_str()));
  telemetry::Registry metrics;
  auto sink = test::make_test_sink(options, metrics);
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 2U);
  test::Deliveries deliveries(journal);
  deliveries.skip_to(2);
  deliveries.add("P-new T-1 1700000000", 9);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT group_concat(patient_id) FROM (SELECT * FROM epro_reports ORDER BY id)"),
            "P-old,P-new");
  EXPECT_EQ(value("SELECT max(version) FROM schema_migrations"),
            std::to_string(newest_migration(Dialect::sqlite)));
  EXPECT_EQ(value("SELECT count(*) FROM vital_signs"), "0");
  EXPECT_EQ(value("SELECT hex(value) FROM secrets WHERE name = 'page_cursor'"), key);
}

TEST_F(SqliteMigrationTest, ids_of_rows_that_were_deleted_before_are_not_given_again) {
  make_version(4);
  ASSERT_TRUE(OtherProgram(options.path)
                  .execute("INSERT INTO epro_report_identities VALUES (randomblob(16), 7)"));
  telemetry::Registry metrics;
  auto sink = test::make_test_sink(options, metrics);
  test::Deliveries deliveries(Uuid::random());
  deliveries.add("P-1 T-1 1700000000", 9);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT id FROM epro_reports"), "8");
}

TEST_F(SqliteMigrationTest, every_earlier_version_becomes_the_newest) {
  for (std::int64_t version = 1; version <= newest_migration(Dialect::sqlite); ++version) {
    options.path = directory / fmt::format("{}.db", version);
    make_version(version);
    EXPECT_EQ(migrate_file(), version);
    EXPECT_EQ(value("SELECT max(version) FROM schema_migrations"),
              std::to_string(newest_migration(Dialect::sqlite)));
    EXPECT_EQ(value("SELECT count(*) FROM trial_metrics"), "0");
  }
}

TEST_F(SqliteMigrationTest, a_newer_schema_is_refused_with_both_versions_named) {
  ASSERT_TRUE(migrate_file());
  ASSERT_TRUE(OtherProgram(options.path)
                  .execute("INSERT INTO schema_migrations (version, name) VALUES (999, 'x')"));
  auto refused = migrate_file();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().text.contains("has schema 999")) << refused.error().text;
  EXPECT_TRUE(refused.error().text.contains(
      fmt::format("knows up to {}", newest_migration(Dialect::sqlite))))
      << refused.error().text;
}

TEST_F(SqliteMigrationTest, a_migration_that_fails_leaves_the_schema_of_before) {
  make_version(3);
  ASSERT_TRUE(OtherProgram(options.path).execute("CREATE TABLE trial_metrics (mine INTEGER)"));
  EXPECT_FALSE(migrate_file());
  EXPECT_EQ(value("SELECT max(version) FROM schema_migrations"), "3");
  EXPECT_EQ(value("SELECT count(*) FROM sqlite_schema WHERE name = 'vital_signs'"), "0");
  ASSERT_TRUE(OtherProgram(options.path).execute("DROP TABLE trial_metrics"));
  EXPECT_EQ(migrate_file(), 3);
}

TEST_F(SqliteMigrationTest, of_programs_that_migrate_at_once_one_does) {
  options.busy_timeout = std::chrono::seconds(20);
  ASSERT_TRUE(Database::open_writer(options));
  std::vector<std::thread> programs;
  std::atomic<int> failed = 0;
  for (int i = 0; i < 4; ++i) {
    programs.emplace_back([&] { failed += migrate_file() ? 0 : 1; });
  }
  for (std::thread& program : programs) program.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(value("SELECT count(*) FROM schema_migrations"),
            std::to_string(newest_migration(Dialect::sqlite)));
}

}  // namespace
}  // namespace trialwire::storage::sqlite
