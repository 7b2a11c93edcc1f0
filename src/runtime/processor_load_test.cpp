// SPDX-License-Identifier: Apache-2.0
#include "runtime/processor_load.hpp"

#include <unistd.h>

#include <fstream>

#include <gtest/gtest.h>

namespace trialwire::runtime {
namespace {

constexpr std::int64_t ms = 1'000'000;

class ProcessorLoadTest : public testing::Test {
 protected:
  std::filesystem::path root_ =
      std::filesystem::path(testing::TempDir()) / ("load." + std::to_string(::getpid()));
  ProcessorFiles files_{root_ / "self", root_ / "cgroup", root_ / "stat"};

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << text;
  }
  ~ProcessorLoadTest() override { std::filesystem::remove_all(root_); }
};

TEST_F(ProcessorLoadTest, is_what_the_group_used_of_its_quota) {
  write("self", "0::/pod\n");
  write("cgroup/pod/cpu.max", "200000 100000\n");  // two processors
  write("cgroup/pod/cpu.stat", "usage_usec 1000000\nuser_usec 1\n");
  ProcessorLoad load(files_, {});
  EXPECT_EQ(load.source(), "cgroup");
  load.sample(1'000 * ms);
  // 250 ms of the 500 that were there: 500 per mille, of which a twentieth counts.
  write("cgroup/pod/cpu.stat", "usage_usec 1250000\nuser_usec 1\n");
  load.sample(1'249 * ms);
  EXPECT_EQ(load.per_mille(), 0) << "too soon";
  load.sample(1'250 * ms);
  EXPECT_NEAR(load.per_mille(), 25, 1e-6);
}

TEST_F(ProcessorLoadTest, is_read_from_version_one_too) {
  write("self", "4:cpu,cpuacct:/x\n");
  write("cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "50000\n");
  write("cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
  write("cgroup/cpu,cpuacct/x/cpuacct.usage", "7000000000\n");
  ProcessorLoad load(files_, {});
  load.sample(1'000 * ms);
  write("cgroup/cpu,cpuacct/x/cpuacct.usage", "7125000000\n");  // all of half a processor
  load.sample(1'250 * ms);
  EXPECT_NEAR(load.per_mille(), 50, 1e-6);
}

TEST_F(ProcessorLoadTest, is_the_machines_without_a_quota_on_the_processors_that_may_be_used) {
  write("self", "0::/\n");
  write("stat", "cpu  9 9 9 9\ncpu0 100 0 0 900 0 0 0 0\ncpu1 0 0 0 100 0 0 0 0\nintr 5\n");
  ProcessorLoad load(files_, {0});
  EXPECT_EQ(load.source(), "machine");
  load.sample(1'000 * ms);
  write("stat", "cpu  9 9 9 9\ncpu0 110 5 3 915 5 1 0 1\ncpu1 900 0 0 100 0 0 0 0\nintr 5\n");
  load.sample(1'250 * ms);
  EXPECT_NEAR(load.per_mille(), 25, 1e-6) << "20 ticks of 40";
}

TEST_F(ProcessorLoadTest, is_none_where_nothing_can_be_read) {
  ProcessorLoad load(files_, {});
  load.sample(1'000 * ms);
  write("stat", "nonsense\n");
  load.sample(2'000 * ms);
  EXPECT_EQ(load.per_mille(), 0);
}

TEST(ProcessorLoad, can_be_read_on_this_machine) {
  ProcessorLoad load;
  load.sample(1'000 * ms);
  load.sample(2'000 * ms);
  EXPECT_GE(load.per_mille(), 0);
  EXPECT_LE(load.per_mille(), 1'000);
}

}  // namespace
}  // namespace trialwire::runtime
