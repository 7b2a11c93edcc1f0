// SPDX-License-Identifier: Apache-2.0
// A process that delivers is killed again and again, at a chosen record or at any moment; what it
// leaves must be rows and cursor of the same delivery, each row once.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "storage/sql/sqlite/test_reports.hpp"

namespace trialwire::storage::sqlite {
namespace {

constexpr std::uint64_t records_in_all = 20'000;
constexpr std::uint64_t records_a_delivery = 97;

/// Kills the process when it maps its `fatal_` th record.
class DeadlyMapper final : public RowMapper {
 public:
  explicit DeadlyMapper(unsigned fatal) : fatal_(fatal) {}
  journal::RecordKind kind() const noexcept override { return words_.kind(); }
  const RowTable& table() const noexcept override { return words_.table(); }
  bool map(const journal::Record& record, std::span<Value> row) override {
    if (fatal_ > 0 && --fatal_ == 0) ::raise(SIGKILL);
    return words_.map(record, row);
  }

 private:
  unsigned fatal_;
  test::WordsMapper words_;
};

/// The child: delivers from where the sink says it is, to the end or until it is killed.
void deliver_all(const DatabaseOptions& options, const Uuid& journal, unsigned fatal_record) {
  telemetry::Registry metrics;
  std::vector<std::unique_ptr<RowMapper>> mappers;
  mappers.push_back(std::make_unique<DeadlyMapper>(fatal_record));
  auto sink = make_sink({.database = options, .lane = 0}, std::move(mappers), metrics);
  auto cursor = sink->durable_cursor(journal);
  if (!cursor) ::_exit(3);
  std::uint64_t next = cursor->next_sequence;
  while (next <= records_in_all) {
    test::Deliveries deliveries(journal);
    deliveries.skip_to(next);
    for (std::uint64_t i = 0; i < records_a_delivery && next <= records_in_all; ++i, ++next) {
      deliveries.add(fmt::format("P-{} T-1 {}", next % 50, 1'700'000'000 + next), next);
    }
    if (!deliveries.to(*sink)) ::_exit(4);
  }
  ::_exit(0);
}

void expect_rows_as_the_cursor_says(const std::filesystem::path& path) {
  test::OtherProgram other(path);
  if (other.value("SELECT count(*) FROM sqlite_schema WHERE name = 'epro_reports'") == "0") return;
  std::string rows = other.value("SELECT count(*) FROM epro_reports");
  ASSERT_EQ(rows, other.value("SELECT coalesce(max(next_sequence) - 1, 0) FROM sink_cursors"));
  ASSERT_EQ(rows, other.value("SELECT coalesce(max(sequence), 0) FROM epro_reports"));
  ASSERT_EQ(rows, other.value("SELECT count(DISTINCT sequence) FROM epro_reports"));
  ASSERT_EQ(rows, other.value("SELECT count(*) FROM epro_report_identities"));
}

TEST(SqliteSinkCrash, a_killed_process_neither_loses_nor_doubles_a_row) {
  test::TemporaryDirectory directory;
  DatabaseOptions options;
  options.path = directory / "trialwire.db";
  options.wal_bytes = 256 << 10;  // checkpoints happen, and are killed, too
  Uuid journal = Uuid::random();
  std::minstd_rand random(4711);
  bool ended = false;
  int killed = 0;
  for (int round = 0; round < 200 && !ended; ++round) {
    bool at_record = round % 2 == 0;
    unsigned fatal_record = at_record ? 1 + random() % 400 : 0;
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) deliver_all(options, journal, round >= 60 ? 0 : fatal_record);
    if (!at_record && round < 60) {
      ::usleep(static_cast<useconds_t>(random() % 20'000));
      ::kill(child, SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << status;
    killed += WIFSIGNALED(status) ? 1 : 0;
    ended = !WIFSIGNALED(status);
    expect_rows_as_the_cursor_says(options.path);
    if (HasFatalFailure()) return;
  }
  EXPECT_TRUE(ended);
  EXPECT_GE(killed, 20);
  EXPECT_EQ(test::OtherProgram(options.path).value("SELECT count(*) FROM epro_reports"),
            std::to_string(records_in_all));
}

}  // namespace
}  // namespace trialwire::storage::sqlite
