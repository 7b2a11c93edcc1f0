// SPDX-License-Identifier: Apache-2.0
#include "storage/directory_check.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "storage/sql/sqlite/test_reports.hpp"

namespace trialwire::storage {
namespace {

class DirectoryCheckTest : public testing::Test {
 protected:
  sqlite::test::TemporaryDirectory directory;
  std::filesystem::path root = directory / "root";
  void SetUp() override { std::filesystem::create_directory(root); }
};

TEST_F(DirectoryCheckTest, one_that_can_be_written_in_stays_empty) {
  EXPECT_EQ(check_directory(root), true);
  EXPECT_TRUE(std::filesystem::is_empty(root));
}

TEST_F(DirectoryCheckTest, one_that_can_be_made_is_not_made) {
  EXPECT_EQ(check_directory(root / "a/b/"), false);
  EXPECT_TRUE(std::filesystem::is_empty(root));
}

TEST_F(DirectoryCheckTest, a_file_system_that_takes_no_files_is_named_also_to_the_superuser) {
  for (const char* path : {"/proc", "/proc/nowhere"}) {
    auto checked = check_directory(path);
    ASSERT_FALSE(checked) << path;
    EXPECT_TRUE(checked.error().text.contains("cannot write in /proc")) << checked.error().text;
  }
}

TEST_F(DirectoryCheckTest, a_file_in_the_way_is_named) {
  std::ofstream(root / "file") << "x";
  for (const char* below : {"file", "file/below"}) {
    auto checked = check_directory(root / below);
    ASSERT_FALSE(checked);
    EXPECT_TRUE(checked.error().text.contains("Not a directory")) << checked.error().text;
  }
}

TEST_F(DirectoryCheckTest, without_the_right_to_write_it_is_refused) {
  ASSERT_EQ(::chmod(root.c_str(), 0555), 0);
  pid_t child = ::fork();
  if (child == 0) {
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    ::_exit(!check_directory(root) && !check_directory(root / "below") ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace trialwire::storage
