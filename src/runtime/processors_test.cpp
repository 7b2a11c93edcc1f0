// SPDX-License-Identifier: Apache-2.0
#include "runtime/processors.hpp"

#include <fstream>

#include <unistd.h>

#include <gmock/gmock.h>

namespace trialwire::runtime {
namespace {

class ProcessorQuota : public testing::Test {
 protected:
  std::filesystem::path root_ =
      std::filesystem::path(testing::TempDir()) / ("processors." + std::to_string(::getpid()));

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  unsigned quota() { return processor_quota(root_ / "self", root_ / "cgroup"); }
  ~ProcessorQuota() override { std::filesystem::remove_all(root_); }
};

TEST_F(ProcessorQuota, IsTheLeastOfTheGroupAndThoseAboveIt) {
  write("self", "0::/pods/one\n");
  write("cgroup/pods/cpu.max", "150000 100000\n");
  write("cgroup/pods/one/cpu.max", "400000 100000\n");
  EXPECT_EQ(quota(), 2U);
}

TEST_F(ProcessorQuota, IsNoneWhenTheGroupHasNone) {
  write("self", "0::/a\n");
  write("cgroup/a/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), 0U);
}

TEST_F(ProcessorQuota, IsReadFromVersionOneToo) {
  write("self", "12:memory:/x\n4:cpu,cpuacct:/x\n");
  write("cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n");
  write("cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 1U);
  write("cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(quota(), 0U);
}

TEST_F(ProcessorQuota, IsNoneWhenNothingCanBeRead) {
  EXPECT_EQ(quota(), 0U);
  write("self", "nonsense\n0::/a\n");
  write("cgroup/a/cpu.max", "many few\n");
  EXPECT_EQ(quota(), 0U);
}

TEST(UsableProcessors, AreAtLeastOne) {
  EXPECT_GE(usable_processors(), 1U);
}

}  // namespace
}  // namespace trialwire::runtime
