// SPDX-License-Identifier: Apache-2.0
// The SQLite sink over power cuts at any write: rows and cursor are both there, or neither.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <filesystem>
#include <optional>

#include "storage/sql/sqlite/sink.hpp"
#include "support/random.hpp"
#include "support/tearing_sqlite.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::fault {
namespace {

using journal::Record;
using storage::Value;

/// As few columns as the table takes.
class PatientRows final : public storage::RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::epro_report; }
  const storage::RowTable& table() const noexcept override {
    static constexpr std::string_view columns[] = {"patient_id", "timestamp_ns"};
    static constexpr storage::RowTable table{"epro_reports", "epro_report_identities", columns};
    return table;
  }
  bool map(const Record& record, std::span<Value> row) override {
    row[0] = as_text(record.bytes);
    row[1] = std::int64_t{1};
    return true;
  }
};

struct DeleteDirectory {
  std::filesystem::path path;
  ~DeleteDirectory() { std::filesystem::remove_all(path); }
};

class SqlitePower {
 public:
  SqlitePower(std::uint64_t seed, const std::filesystem::path& directory)
      : disk_(seed), random_(seed + 1), path_(directory / "reports.db") {
    for (std::uint64_t sequence = 1; sequence <= records_max; ++sequence) {
      texts_.push_back("patient " + std::to_string(sequence));
    }
  }

  void run() {
    for (int start = 0; next_ <= records_max; ++start) {
      // The last starts are left alone, so that every run comes to its end.
      if (start < 12) disk_.power_cut_in(random_.between(1, 70));
      deliver_until_cut();
      if (disk_.powered()) break;
      disk_.restart();
      ASSERT_NO_FATAL_FAILURE(check());
    }
    disk_.power_cut_in(0);
    ASSERT_NO_FATAL_FAILURE(check());
    EXPECT_EQ(acknowledged_, records_max + 1);
  }

 private:
  static constexpr std::uint64_t records_max = 80;

  std::unique_ptr<pipeline::Sink> open_sink() {
    std::vector<std::unique_ptr<storage::RowMapper>> mappers;
    mappers.push_back(std::make_unique<PatientRows>());
    // A small WAL: it is written back into the file while the test runs.
    storage::sqlite::SinkOptions options{.database = {.path = path_, .wal_bytes = 64 << 10}};
    return storage::sqlite::make_sink(std::move(options), std::move(mappers), metrics_);
  }

  Record record(std::uint64_t sequence) const {
    Record record;
    record.journal = journal_;
    record.sequence = sequence;
    record.epoch = 1;
    record.bytes = as_bytes(texts_[sequence - 1]);
    record.attributes.received_ns = static_cast<std::int64_t>(sequence) * 1'000'000;
    record.attributes.identity = {sequence * 0x9e3779b97f4a7c15ULL, sequence};
    return record;
  }

  void deliver_until_cut() {
    auto sink = open_sink();
    const auto cursor = sink->durable_cursor(journal_);
    if (!cursor) {
      EXPECT_FALSE(disk_.powered()) << cursor.error().text;
      return;
    }
    next_ = cursor->next_sequence;
    while (next_ <= records_max) {
      std::vector<Record> batch;
      const std::uint64_t end = std::min(records_max + 1, next_ + random_.between(1, 12));
      for (std::uint64_t sequence = next_; sequence < end; ++sequence) {
        batch.push_back(record(sequence));
      }
      if (auto done = sink->deliver(batch, {journal_, end}); !done) {
        EXPECT_FALSE(disk_.powered()) << done.error().text;
        return;
      }
      next_ = acknowledged_ = end;
    }
  }

  /// Rows are those before the cursor, each once; what was acknowledged is among them.
  void check() {
    auto sink = open_sink();
    const auto cursor = sink->durable_cursor(journal_);
    ASSERT_TRUE(cursor) << cursor.error().text;
    EXPECT_GE(cursor->next_sequence, acknowledged_) << "what was delivered is lost";
    acknowledged_ = cursor->next_sequence;
    sink.reset();
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &handle), SQLITE_OK);
    sqlite3_stmt* select = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(handle,
                                 "SELECT sequence, patient_id FROM epro_reports "
                                 "ORDER BY sequence, id",
                                 -1, &select, nullptr),
              SQLITE_OK);
    std::uint64_t expected = 1;
    while (sqlite3_step(select) == SQLITE_ROW) {
      EXPECT_EQ(static_cast<std::uint64_t>(sqlite3_column_int64(select, 0)), expected);
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(select, 1));
      EXPECT_EQ(text, texts_.at(expected - 1));
      ++expected;
    }
    EXPECT_EQ(expected, cursor->next_sequence) << "rows and cursor do not agree";
    sqlite3_finalize(select);
    sqlite3_close(handle);
  }

  support::TearingSqlite disk_;
  support::Random random_;
  std::filesystem::path path_;
  Uuid journal_ = Uuid::random();
  telemetry::Registry metrics_;
  std::vector<std::string> texts_;
  std::uint64_t next_ = 1;
  std::uint64_t acknowledged_ = 1;
};

TEST(SqlitePowerTest, rows_and_cursor_survive_a_power_cut_at_any_write_together_or_not_at_all) {
  const DeleteDirectory root{std::filesystem::path(testing::TempDir()) /
                             ("sqlite_power_" + Uuid::random().text())};
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const auto directory = root.path / std::to_string(seed);
    std::filesystem::create_directories(directory);
    SqlitePower(seed, directory).run();
    if (testing::Test::HasFailure()) return;
    std::filesystem::remove_all(directory);
  }
}

}  // namespace
}  // namespace trialwire::fault
