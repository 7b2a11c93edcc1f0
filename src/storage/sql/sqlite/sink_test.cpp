// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/sink.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "storage/sql/migrations.hpp"
#include "storage/sql/sqlite/test_reports.hpp"
#include "storage/sql/store.hpp"

namespace trialwire::storage::sqlite {
namespace {

using test::Deliveries;
using test::OtherProgram;

class SqliteSinkTest : public testing::Test {
 protected:
  SqliteSinkTest() {
    options.path = directory / "trialwire.db";
    options.busy_timeout = std::chrono::milliseconds(1);
  }
  std::unique_ptr<pipeline::Sink> make() { return test::make_test_sink(options, metrics); }
  std::string value(const char* sql) { return OtherProgram(options.path).value(sql); }
  /// With everything that belongs to it, as an operator would.
  void move_away() {
    for (std::string suffix : {"", "-wal", "-shm"}) {
      if (auto file = directory / ("trialwire.db" + suffix); std::filesystem::exists(file)) {
        std::filesystem::rename(file, directory / ("away.db" + suffix));
      }
    }
  }

  test::TemporaryDirectory directory;
  DatabaseOptions options;
  telemetry::Registry metrics;
  Uuid journal = Uuid::random();
  Deliveries deliveries{journal};
};

TEST_F(SqliteSinkTest, rows_and_cursor_are_there_after_a_delivery_and_a_restart) {
  auto sink = make();
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 1U);
  std::int64_t received = deliveries.add("P-1 T-1 1700000000 S-1", 7).attributes.received_ns;
  std::string id = record_id({journal, 1, 1, received}).text();
  deliveries.add("P-2 T-1 1700000001", 8);
  ASSERT_TRUE(deliveries.to(*sink));
  sink = make();
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 3U);
  EXPECT_EQ(sink->durable_cursor(Uuid::random())->next_sequence, 1U);
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_EQ(value("SELECT record_id FROM epro_reports WHERE patient_id = 'P-1'"), id);
  EXPECT_EQ(value("SELECT journal_id FROM epro_reports"), journal.text());
  EXPECT_EQ(value("SELECT timestamp_ns FROM epro_reports WHERE sequence = 2"),
            "1700000001000000000");
  EXPECT_EQ(value("SELECT origin FROM epro_reports"), "http 127.0.0.1:5123");
  EXPECT_EQ(value("SELECT principal FROM epro_reports"), "NULL");
  EXPECT_EQ(value("SELECT original FROM epro_reports"), "NULL");
  EXPECT_EQ(value("SELECT received_at FROM epro_reports"), format_rfc3339_ms(received));
}

TEST_F(SqliteSinkTest, a_row_names_the_journal_of_its_record_and_the_cursor_that_of_its_source) {
  auto sink = make();
  const Uuid acknowledged_by = Uuid::random();
  journal::Record& record = deliveries.add("P-1 T-1 1700000000");
  record.journal = acknowledged_by;
  std::string id = record_id({acknowledged_by, 1, 1, record.attributes.received_ns}).text();
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT journal_id FROM epro_reports"), acknowledged_by.text());
  EXPECT_EQ(value("SELECT record_id FROM epro_reports"), id);
  EXPECT_EQ(value("SELECT journal_id FROM sink_cursors"), journal.text());
}

TEST_F(SqliteSinkTest, a_submission_is_stored_with_its_place_in_it) {
  auto sink = make();
  journal::Record& record = deliveries.add("P-1 T-1 1700000000");
  record.attributes.submission = Uuid::random();
  record.attributes.submission_index = 2;
  record.attributes.submission_count = 5;
  record.attributes.principal = "nurse";
  record.attributes.flags = 3;
  std::string submission = record.attributes.submission.text();
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT submission_id FROM epro_reports"), submission);
  EXPECT_EQ(value("SELECT submission_index || '/' || submission_count FROM epro_reports"), "2/5");
  EXPECT_EQ(value("SELECT principal || flags FROM epro_reports"), "nurse3");
}

TEST_F(SqliteSinkTest, the_same_records_again_add_no_row) {
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000", 1);
  deliveries.add("P-2 T-1 1700000000");  // without an identity: its record id keeps it single
  ASSERT_TRUE(deliveries.to(*sink));
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_TRUE(metrics.text().contains("trialwire_sqlite_rows_ignored_total 2"));
}

TEST_F(SqliteSinkTest, an_identity_has_one_row_the_first_ones) {
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000", 9);
  deliveries.add("P-late T-1 1700000001", 9);  // in the same delivery
  ASSERT_TRUE(deliveries.to(*sink));
  deliveries.clear();
  deliveries.add("P-later T-1 1700000002", 9);  // and long after
  deliveries.add("P-2 T-1 1700000003", 10);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_EQ(value("SELECT patient_id FROM epro_reports WHERE sequence = 1"), "P-1");
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports r JOIN epro_report_identities i "
                  "ON i.id = r.id"),
            "2");
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 5U);
  EXPECT_TRUE(metrics.text().contains("trialwire_sqlite_rows_ignored_total 2"));
}

TEST_F(SqliteSinkTest, a_row_that_was_deleted_comes_back_though_its_identity_is_there) {
  auto sink = make();
  for (std::uint64_t i = 1; i <= 4; ++i) deliveries.add("P-" + std::to_string(i) + " T-1 17", i);
  ASSERT_TRUE(deliveries.to(*sink));
  ASSERT_TRUE(OtherProgram(options.path)
                  .execute("DELETE FROM epro_reports WHERE patient_id IN ('P-2', 'P-4')"));
  deliveries.add("P-again T-1 17", 2);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT group_concat(patient_id) FROM (SELECT * FROM epro_reports ORDER BY 1)"),
            "P-1,P-3,P-2,P-4");
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports r JOIN epro_report_identities i USING (id)"),
            "4");
  EXPECT_TRUE(metrics.text().contains("trialwire_sqlite_rows_ignored_total 3"));
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "4") << "now they are known";
}

TEST_F(SqliteSinkTest, an_identity_whose_row_was_deleted_never_names_another_records_row) {
  auto sink = make();
  for (std::uint64_t i = 1; i <= 4; ++i) deliveries.add("P-old T-1 17", i);
  ASSERT_TRUE(deliveries.to(*sink));
  const auto lost = deliveries.records();
  ASSERT_TRUE(OtherProgram(options.path).execute("DELETE FROM epro_reports WHERE sequence > 1"));
  Deliveries later{journal};
  later.skip_to(5);
  for (std::uint64_t i = 5; i <= 8; ++i) later.add("P-new T-1 18", i);
  sink = make();  // what it knew of ids is gone
  ASSERT_EQ(sink->durable_cursor(journal)->next_sequence, 5U);
  ASSERT_TRUE(later.to(*sink));
  EXPECT_EQ(value("SELECT min(id) FROM epro_reports WHERE patient_id = 'P-new'"), "5");
  ASSERT_TRUE(sink->deliver(lost, {journal, 9}));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports WHERE patient_id = 'P-old'"), "4");
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports r JOIN epro_report_identities i USING (id)"),
            "8");
}

TEST_F(SqliteSinkTest, a_deleted_identity_names_its_row_again_and_keeps_a_later_record_out) {
  auto sink = make();
  deliveries.add("P-1 T-1 17", 1);
  ASSERT_TRUE(deliveries.to(*sink));
  ASSERT_TRUE(OtherProgram(options.path).execute("DELETE FROM epro_report_identities"));
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports r JOIN epro_report_identities i USING (id)"),
            "1");
  deliveries.add("P-late T-1 17", 1);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
}

TEST_F(SqliteSinkTest, a_record_that_cannot_be_decoded_is_stored_as_its_bytes_and_flagged) {
  auto sink = make();
  deliveries.add("nonsense");
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT cast(original AS TEXT) FROM epro_reports WHERE flags & 256"), "nonsense");
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_TRUE(metrics.text().contains("trialwire_sqlite_undecodable_total"));
}

TEST_F(SqliteSinkTest, a_kind_without_a_table_is_passed_over) {
  auto sink = make();
  deliveries.add("x").attributes.kind = journal::RecordKind::audit;
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "0");
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 2U);
}

TEST_F(SqliteSinkTest,
       a_new_file_in_the_place_of_the_old_one_gets_no_delivery_that_follows_others) {
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000001");
  sink->reset();
  move_away();
  auto done = deliveries.to(*sink);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::conflict) << done.error().text;
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM sink_cursors"), "0");
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 1U);
  EXPECT_TRUE(deliveries.to(*sink)) << "now it is known";
}

TEST_F(SqliteSinkTest, a_cursor_that_another_program_moved_is_a_conflict) {
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  ASSERT_TRUE(OtherProgram(options.path).execute("UPDATE sink_cursors SET next_sequence = 7"));
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000001");
  auto done = deliveries.to(*sink);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::conflict) << done.error().text;
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
  EXPECT_EQ(value("SELECT next_sequence FROM sink_cursors"), "7");
  auto other = make();
  EXPECT_FALSE(deliveries.to(*other)) << "one that has not asked expects none";
}

TEST_F(SqliteSinkTest, a_file_that_is_moved_away_while_it_is_open_gets_nothing_more) {
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  move_away();
  deliveries.clear();
  deliveries.add("P-2 T-1 1700000001");
  auto done = deliveries.to(*sink);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::unavailable) << done.error().text;
  EXPECT_EQ(OtherProgram(directory / "away.db").value("SELECT count(*) FROM epro_reports"), "1");
  sink->reset();
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 1U);
}

TEST_F(SqliteSinkTest, a_sink_that_gives_up_stores_nothing_of_the_delivery) {
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000", 5);
  sink->give_up();
  auto done = deliveries.to(*sink);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::cancelled);
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "0");
  EXPECT_EQ(value("SELECT count(*) FROM epro_report_identities"), "0");
}

TEST_F(SqliteSinkTest, the_file_is_for_its_owner_alone) {
  ASSERT_TRUE(make()->durable_cursor(journal));
  struct stat status{};
  ASSERT_EQ(::stat(options.path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
}

TEST_F(SqliteSinkTest, a_locked_file_is_unavailable_until_the_lock_goes) {
  auto sink = make();
  ASSERT_TRUE(sink->durable_cursor(journal));
  deliveries.add("P-1 T-1 1700000000");
  OtherProgram other(options.path);
  ASSERT_TRUE(other.execute("BEGIN IMMEDIATE"));
  auto done = deliveries.to(*sink);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(done.error().text.contains("trialwire.db")) << done.error().text;
  sink->reset();
  ASSERT_TRUE(other.execute("COMMIT"));
  EXPECT_TRUE(deliveries.to(*sink));
}

TEST_F(SqliteSinkTest, a_file_locked_at_start_is_unavailable_not_created_anew) {
  ASSERT_TRUE(make()->durable_cursor(journal));
  OtherProgram other(options.path);
  ASSERT_TRUE(other.execute("PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT"));
  auto sink = make();
  auto cursor = sink->durable_cursor(journal);
  if (cursor) GTEST_SKIP() << "this build of SQLite shares an exclusive WAL";
  EXPECT_EQ(cursor.error().code, ErrorCode::unavailable) << cursor.error().text;
}

TEST_F(SqliteSinkTest, a_missing_directory_is_unavailable_until_it_is_there) {
  options.path = directory / "later" / "trialwire.db";
  auto sink = make();
  auto cursor = sink->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(cursor.error().text.contains("later/trialwire.db")) << cursor.error().text;
  std::filesystem::create_directory(directory / "later");
  sink->reset();
  EXPECT_TRUE(sink->durable_cursor(journal));
}

TEST_F(SqliteSinkTest, a_read_only_file_is_unavailable) {
  ASSERT_TRUE(make()->durable_cursor(journal));
  ASSERT_EQ(::chmod(options.path.c_str(), 0444), 0);
  ASSERT_EQ(::chmod(options.path.parent_path().c_str(), 0555), 0);
  pid_t child = ::fork();
  if (child == 0) {
    // The superuser may write anything: be someone else.
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    auto cursor = make()->durable_cursor(journal);
    ::_exit(!cursor && cursor.error().code == ErrorCode::unavailable ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  ::chmod(options.path.parent_path().c_str(), 0755);
}

TEST_F(SqliteSinkTest, when_the_disk_is_full_nothing_of_the_delivery_is_stored) {
  options.file_bytes_max = 40 * 4096;
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000");
  ASSERT_TRUE(deliveries.to(*sink));
  for (std::uint64_t i = 0; i < 5'000; ++i) deliveries.add("P-1 T-1 1700000000", i + 1);
  auto done = deliveries.to(*sink);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::disk_full) << done.error().text;
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
  EXPECT_EQ(value("SELECT count(*) FROM epro_report_identities"), "0");
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 2U);
  options.file_bytes_max = 0;
  sink = make();
  EXPECT_EQ(sink->durable_cursor(journal)->next_sequence, 2U);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "5001");
}

TEST_F(SqliteSinkTest, a_file_that_is_no_database_is_named_as_corrupt_and_left_alone) {
  std::string noise(8'192, 'n');
  std::ofstream(options.path) << noise;
  auto sink = make();
  auto cursor = sink->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_EQ(cursor.error().code, ErrorCode::corrupt);
  EXPECT_TRUE(cursor.error().text.contains("trialwire.db")) << cursor.error().text;
  std::ifstream file(options.path);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), noise);
  sink->reset();
  std::filesystem::remove(options.path);
  EXPECT_TRUE(sink->durable_cursor(journal));
}

TEST_F(SqliteSinkTest, a_damaged_page_is_an_error_not_a_crash) {
  {
    auto sink = make();
    for (std::uint64_t i = 0; i < 2'000; ++i) deliveries.add("P-1 T-1 1700000000", i + 1);
    ASSERT_TRUE(deliveries.to(*sink));
  }
  std::fstream file(options.path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4'096);
  for (std::uintmax_t left = std::filesystem::file_size(options.path) - 4'096; left > 0; --left) {
    file.put('\x5a');
  }
  file.close();
  auto sink = make();
  auto cursor = sink->durable_cursor(journal);
  auto done = deliveries.to(*sink);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::corrupt) << done.error().text;
}

TEST_F(SqliteSinkTest, a_schema_of_a_newer_program_is_refused) {
  ASSERT_TRUE(make()->durable_cursor(journal));
  ASSERT_TRUE(OtherProgram(options.path)
                  .execute("INSERT INTO schema_migrations (version, name) VALUES (999, 'x')"));
  auto cursor = make()->durable_cursor(journal);
  ASSERT_FALSE(cursor);
  EXPECT_TRUE(cursor.error().text.contains("999")) << cursor.error().text;
}

TEST_F(SqliteSinkTest, the_schema_is_applied_once_and_its_steps_are_listed) {
  ASSERT_TRUE(make()->durable_cursor(journal));
  ASSERT_TRUE(make()->durable_cursor(journal));
  EXPECT_EQ(value("SELECT count(*) FROM schema_migrations"),
            std::to_string(newest_migration(Dialect::sqlite)));
  EXPECT_EQ(value("SELECT max(version) FROM schema_migrations"),
            std::to_string(newest_migration(Dialect::sqlite)));
}

TEST_F(SqliteSinkTest, what_a_unique_key_of_an_operators_own_keeps_out_is_refused) {
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000 S-1", 1);
  deliveries.add("P-2 T-1 1700000001 S-2");
  ASSERT_TRUE(deliveries.to(*sink));
  OtherProgram other(options.path);
  ASSERT_TRUE(other.execute("CREATE UNIQUE INDEX one_a_site ON epro_reports (site_id)"));
  deliveries.clear();
  deliveries.add("P-3 T-1 1700000002 S-3", 3);
  deliveries.add("P-4 T-1 1700000003 S-1", 4);
  auto done = deliveries.to(*sink);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::invalid_argument) << done.error().text;
  EXPECT_TRUE(done.error().text.contains("site_id")) << done.error().text;
  EXPECT_FALSE(done.error().text.contains("S-1")) << done.error().text;
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_EQ(value("SELECT count(*) FROM epro_report_identities"), "1");
  EXPECT_EQ(value("SELECT next_sequence FROM sink_cursors"), "3");
  EXPECT_TRUE(metrics.text().contains("trialwire_sqlite_rows_ignored_total 0"));
  ASSERT_TRUE(other.execute("DROP INDEX one_a_site"));
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "4");
  EXPECT_EQ(value("SELECT count(*) FROM epro_report_identities"), "3");
}

TEST_F(SqliteSinkTest, what_is_stored_already_is_ignored_whatever_an_operators_unique_key_says) {
  auto sink = make();
  deliveries.add("P-1 T-1 1700000000 S-1", 1);
  deliveries.add("P-2 T-1 1700000001 S-2");
  ASSERT_TRUE(deliveries.to(*sink));
  ASSERT_TRUE(OtherProgram(options.path)
                  .execute("CREATE UNIQUE INDEX one_a_site ON epro_reports (site_id);"
                           "CREATE UNIQUE INDEX one_a_patient ON epro_reports (patient_id)"));
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "2");
  EXPECT_TRUE(metrics.text().contains("trialwire_sqlite_rows_ignored_total 2"));
}

/// The time of a record in the table of its kind; "text" in place of it where the body says so.
class TimeRows final : public RowMapper {
 public:
  TimeRows(journal::RecordKind kind, RowTable table) : kind_(kind), table_(table) {}
  journal::RecordKind kind() const noexcept override { return kind_; }
  const RowTable& table() const noexcept override { return table_; }
  bool map(const journal::Record& record, std::span<Value> row) override {
    row[0] = std::int64_t{1};
    if (as_text(record.bytes) == "text") row[0] = std::string_view("no number");
    if (as_text(record.bytes) == "nothing") row[0] = Value{};
    return true;
  }
  static RowMappers all() {
    static constexpr std::array<std::string_view, 1> columns{"timestamp_ns"};
    using enum journal::RecordKind;
    RowMappers mappers;
    auto add = [&](journal::RecordKind kind, std::string_view table, std::string_view identities) {
      mappers.push_back(std::make_unique<TimeRows>(kind, RowTable{table, identities, columns}));
    };
    add(epro_report, "epro_reports", "epro_report_identities");
    add(qol_answer, "qol_answers", "qol_answer_identities");
    add(vital_sign, "vital_signs", "vital_sign_identities");
    add(trial_metric, "trial_metrics", "trial_metric_identities");
    return mappers;
  }

 private:
  journal::RecordKind kind_;
  RowTable table_;
};

TEST_F(SqliteSinkTest, every_kind_goes_to_its_table_and_an_identity_counts_within_it) {
  auto sink = make_sink({.database = options}, TimeRows::all(), metrics);
  for (int kind = 1; kind <= 4; ++kind) {
    for (int i = 0; i < kind; ++i) {
      journal::Record& record = deliveries.add("x", static_cast<std::uint64_t>(i) + 1);
      record.attributes.kind = static_cast<journal::RecordKind>(kind);
    }
  }
  ASSERT_TRUE(deliveries.to(*sink));
  ASSERT_TRUE(deliveries.to(*sink));  // nothing twice
  EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
  EXPECT_EQ(value("SELECT count(*) FROM qol_answers"), "2");
  EXPECT_EQ(value("SELECT count(*) FROM vital_signs"), "3");
  EXPECT_EQ(value("SELECT count(*) FROM trial_metrics"), "4");
  EXPECT_EQ(value("SELECT count(*) FROM trial_metric_identities"), "4");
  EXPECT_EQ(value("SELECT group_concat(sequence) FROM vital_signs"), "4,5,6");
}

TEST_F(SqliteSinkTest, a_row_that_the_table_refuses_is_no_outage_and_leaves_nothing) {
  auto sink = make_sink({.database = options}, TimeRows::all(), metrics);
  deliveries.add("x", 1);
  ASSERT_TRUE(deliveries.to(*sink));
  for (const char* refused : {"text", "nothing"}) {
    deliveries.clear();
    deliveries.add("x", 2);
    deliveries.add(refused, 3);
    auto done = deliveries.to(*sink);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::invalid_argument) << done.error().text;
    EXPECT_EQ(done.error().text.find("no number"), std::string::npos) << done.error().text;
    EXPECT_EQ(value("SELECT count(*) FROM epro_reports"), "1");
    EXPECT_EQ(value("SELECT count(*) FROM epro_report_identities"), "1");
    EXPECT_EQ(value("SELECT next_sequence FROM sink_cursors"), "2");
    EXPECT_TRUE(sink->rolled_back());
  }
  deliveries.clear();
  deliveries.add("x", 2);
  EXPECT_TRUE(deliveries.to(*sink)) << "without it the rest goes on";
  EXPECT_FALSE(sink->rolled_back());
}

TEST(SqliteErrors, are_told_apart_by_number) {
  EXPECT_EQ(error_code(SQLITE_BUSY), ErrorCode::unavailable);
  EXPECT_EQ(error_code(SQLITE_BUSY_SNAPSHOT), ErrorCode::unavailable);
  EXPECT_EQ(error_code(SQLITE_READONLY_DBMOVED), ErrorCode::unavailable);
  EXPECT_EQ(error_code(SQLITE_FULL), ErrorCode::disk_full);
  EXPECT_EQ(error_code(SQLITE_IOERR_FSYNC), ErrorCode::io);
  EXPECT_EQ(error_code(SQLITE_CORRUPT_INDEX), ErrorCode::corrupt);
  EXPECT_EQ(error_code(SQLITE_NOTADB), ErrorCode::corrupt);
  EXPECT_EQ(error_code(SQLITE_INTERRUPT), ErrorCode::cancelled);
  EXPECT_EQ(error_code(SQLITE_CONSTRAINT_DATATYPE), ErrorCode::invalid_argument);
  EXPECT_EQ(error_code(SQLITE_MISMATCH), ErrorCode::invalid_argument);
  EXPECT_EQ(error_code(SQLITE_TOOBIG), ErrorCode::payload_too_large);
  EXPECT_EQ(error_code(SQLITE_ERROR), ErrorCode::internal);
}

}  // namespace
}  // namespace trialwire::storage::sqlite
