// SPDX-License-Identifier: Apache-2.0
#include "audit/spool.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "support/fake_appender.hpp"

namespace trialwire::audit {
namespace {

namespace fs = std::filesystem;
constexpr std::int64_t second = 1'000'000'000;

class SpoolTest : public ::testing::Test {
 protected:
  SpoolTest() {
    std::string name = (fs::temp_directory_path() / "trialwire-spool-XXXXXX").string();
    data_dir_ = ::mkdtemp(name.data());
    spool_.emplace(spool_directory(data_dir_), trail_, metrics_);
  }
  ~SpoolTest() override { fs::remove_all(data_dir_); }

  static Entry entry(std::string_view target, std::int64_t at_s = 1'770'000'000) {
    Entry entry;
    entry.who = "operator";
    entry.what = what_command;
    entry.target = target;
    entry.at_ns = at_s * second;
    entry.origin = "command";
    return entry;
  }
  std::size_t files(std::string_view extension = ".json") const {
    std::size_t count = 0;
    for (const auto& file : fs::directory_iterator(spool_directory(data_dir_))) {
      count += file.path().extension() == extension ? 1U : 0U;
    }
    return count;
  }
  void tick() {
    now_ += 2 * second;
    spool_->tick(now_);
    if (appender_.waiting()) appender_.commit();
  }

  fs::path data_dir_;
  std::int64_t now_ = 1'770'000'100 * second;
  telemetry::Registry metrics_;
  testing::FakeAppender appender_;
  Trail trail_{appender_, metrics_};
  std::optional<Spool> spool_;
};

TEST_F(SpoolTest, takes_what_commands_left_in_the_order_of_time_and_removes_it) {
  ASSERT_TRUE(leave_entry(data_dir_, entry("second", 1'770'000'002)));
  ASSERT_TRUE(leave_entry(data_dir_, entry("first", 1'770'000'001)));
  struct stat status{};
  ASSERT_EQ(::stat(spool_directory(data_dir_).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  EXPECT_EQ(files(), 2U);
  tick();
  tick();
  ASSERT_EQ(appender_.stored.size(), 2U);
  EXPECT_TRUE(appender_.stored[0].bytes.contains(R"("target":"first")"));
  EXPECT_TRUE(appender_.stored[1].bytes.contains(R"("target":"second")"));
  EXPECT_EQ(appender_.stored[0].principal, "operator");
  EXPECT_EQ(appender_.stored[0].attributes.kind, journal::RecordKind::audit);
  EXPECT_EQ(files(), 0U);
}

TEST_F(SpoolTest, a_file_that_comes_twice_is_one_record) {
  ASSERT_TRUE(leave_entry(data_dir_, entry("once")));
  const auto file = fs::directory_iterator(spool_directory(data_dir_))->path();
  const fs::path copy = data_dir_ / "copy";
  fs::copy_file(file, copy);
  tick();
  fs::copy_file(copy, file);  // as if the process had ended before it was removed
  tick();
  EXPECT_EQ(appender_.stored.size(), 1U);
  EXPECT_EQ(files(), 0U);
}

TEST_F(SpoolTest, a_file_stays_until_the_journal_has_it) {
  ASSERT_TRUE(leave_entry(data_dir_, entry("later")));
  appender_.admission_error = Error{ErrorCode::disk_full, "full"};
  tick();
  EXPECT_EQ(files(), 1U);
  appender_.admission_error.reset();
  appender_.refuse_commits = ErrorCode::unavailable;
  tick();
  EXPECT_EQ(files(), 1U);
  EXPECT_TRUE(metrics_.text().contains("trialwire_audit_spool_files 1"));
  appender_.refuse_commits.reset();
  tick();
  EXPECT_EQ(appender_.stored.size(), 1U);
  EXPECT_EQ(files(), 0U);
}

TEST_F(SpoolTest, what_is_no_entry_is_set_aside_and_does_not_stop_the_rest) {
  ASSERT_TRUE(leave_entry(data_dir_, entry("good")));
  const fs::path bad = spool_directory(data_dir_) / "0.json";
  std::ofstream(bad) << "nonsense";
  fs::permissions(bad, fs::perms::owner_read | fs::perms::owner_write);
  tick();
  tick();
  EXPECT_EQ(appender_.stored.size(), 1U);
  EXPECT_EQ(files(), 0U);
  EXPECT_EQ(files(".unreadable"), 1U);
  EXPECT_TRUE(metrics_.text().contains("trialwire_audit_spool_unreadable_total 1"));
}

TEST_F(SpoolTest, an_entry_that_cannot_be_left_is_an_error_and_leaves_nothing) {
  EXPECT_FALSE(leave_entry(data_dir_ / "none", entry("x")));
  std::ofstream(data_dir_ / "audit") << "in the way";
  EXPECT_FALSE(leave_entry(data_dir_, entry("x")));
}

TEST_F(SpoolTest, an_empty_spool_is_nothing_to_do) {
  tick();
  EXPECT_FALSE(appender_.waiting());
}

}  // namespace
}  // namespace trialwire::audit
