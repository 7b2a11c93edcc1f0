// SPDX-License-Identifier: Apache-2.0
#include "runtime/processors.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <thread>

namespace trialwire::runtime {
namespace {

using std::filesystem::path;
constexpr double unlimited = std::numeric_limits<double>::infinity();

/// cgroup v2: "max 100000" or "150000 100000".
double quota_v2(const path& group) {
  std::ifstream file(group / "cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return unlimited;
  double value = std::strtod(quota.c_str(), nullptr);
  return value > 0 ? value / period : unlimited;
}

/// cgroup v1: a quota of -1 is none.
double quota_v1(const path& group) {
  double quota = -1;
  double period = 0;
  std::ifstream(group / "cpu.cfs_quota_us") >> quota;
  std::ifstream(group / "cpu.cfs_period_us") >> period;
  return quota > 0 && period > 0 ? quota / period : unlimited;
}

/// The least quota of a group and of all above it.
template <typename Read>
void look_upwards(const path& root, const std::string& group, bool v2, Read read,
                  QuotaGroup& least) {
  path relative = path(group).relative_path();
  while (true) {
    const path directory = relative.empty() ? root : root / relative;
    const double quota = read(directory);
    if (quota < least.processors) least = {quota, directory, v2};
    if (relative.empty()) return;
    relative = relative.parent_path();
  }
}

bool holds_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

std::optional<QuotaGroup> least_quota(const path& proc_self_cgroup, const path& cgroup_root) {
  QuotaGroup least{unlimited, {}, false};
  std::ifstream file(proc_self_cgroup);
  for (std::string line; std::getline(file, line);) {  // hierarchy:controllers:group
    std::size_t first = line.find(':');
    std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      look_upwards(cgroup_root, group, true, quota_v2, least);
    } else if (holds_cpu(controllers)) {
      look_upwards(cgroup_root / controllers, group, false, quota_v1, least);
    }
  }
  if (std::isinf(least.processors)) return std::nullopt;
  return least;
}

unsigned processor_quota(const path& proc_self_cgroup, const path& cgroup_root) {
  auto least = least_quota(proc_self_cgroup, cgroup_root);
  return least ? static_cast<unsigned>(std::clamp(std::ceil(least->processors), 1.0, 1e6)) : 0;
}

std::vector<unsigned> allowed_processors() {
  // Larger than any machine's mask, so that the kernel does not refuse it.
  constexpr unsigned processors_max = 1 << 14;
  std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(CPU_ALLOC(processors_max),
                                                        [](cpu_set_t* set) { CPU_FREE(set); });
  std::size_t size = CPU_ALLOC_SIZE(processors_max);
  std::vector<unsigned> allowed;
  if (!mask || sched_getaffinity(0, size, mask.get()) != 0) return allowed;
  for (unsigned cpu = 0; cpu < processors_max; ++cpu) {
    if (CPU_ISSET_S(cpu, size, mask.get())) allowed.push_back(cpu);
  }
  return allowed;
}

unsigned usable_processors() {
  unsigned quota = processor_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  auto allowed = static_cast<unsigned>(allowed_processors().size());
  if (allowed == 0) allowed = std::max(1U, std::thread::hardware_concurrency());
  return std::max(1U, quota == 0 ? allowed : std::min(quota, allowed));
}

}  // namespace trialwire::runtime
