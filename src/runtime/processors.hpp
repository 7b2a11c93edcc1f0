// SPDX-License-Identifier: Apache-2.0
// How many processors this process may use: the affinity mask, within the quota of its control
// group (v1 or v2) and of those above it.
#pragma once
#include <filesystem>
#include <optional>
#include <vector>

namespace trialwire::runtime {

/// At least 1. A quota of one and a half processors counts as two.
unsigned usable_processors();

/// The quota alone, rounded up; 0: none. `proc_self_cgroup` and `cgroup_root` stand in for
/// /proc/self/cgroup and /sys/fs/cgroup. What cannot be read sets no quota.
unsigned processor_quota(const std::filesystem::path& proc_self_cgroup,
                         const std::filesystem::path& cgroup_root);

/// The group with the least quota, of this process's and those above it.
struct QuotaGroup {
  double processors = 0;        // 1.5
  std::filesystem::path group;  // its directory
  bool v2 = false;
};
/// None where no group has a quota.
std::optional<QuotaGroup> least_quota(const std::filesystem::path& proc_self_cgroup,
                                      const std::filesystem::path& cgroup_root);

/// Numbers of the processors of the affinity mask, ascending; empty when it is not known.
std::vector<unsigned> allowed_processors();

}  // namespace trialwire::runtime
