// SPDX-License-Identifier: Apache-2.0
// How many processors this process may use: the affinity mask, within the quota of its control
// group (v1 or v2) and of those above it.
#pragma once
#include <filesystem>

namespace trialwire::runtime {

/// At least 1. A quota of one and a half processors counts as two.
unsigned usable_processors();

/// The quota alone, rounded up; 0: none. `proc_self_cgroup` and `cgroup_root` stand in for
/// /proc/self/cgroup and /sys/fs/cgroup. What cannot be read sets no quota.
unsigned processor_quota(const std::filesystem::path& proc_self_cgroup,
                         const std::filesystem::path& cgroup_root);

}  // namespace trialwire::runtime
