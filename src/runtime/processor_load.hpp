// SPDX-License-Identifier: Apache-2.0
// How loaded the processors are that this process may use, per mille: what its control group used
// of its quota, where it has one (cgroup v1 or v2, the least quota upwards); else what the machine
// used of the processors in the affinity mask (/proc/stat), neighbours included.
//
// `sample` is for one thread, the control shard's, and reads a small file; `per_mille` for any.
// Where nothing can be read the load is 0: nothing is shed for it.
#pragma once
#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <vector>

#include "resilience/cpu_load.hpp"
#include "runtime/processors.hpp"

namespace trialwire::runtime {

/// Where to read; for tests elsewhere than on the machine.
struct ProcessorFiles {
  std::filesystem::path proc_self_cgroup = "/proc/self/cgroup";
  std::filesystem::path cgroup_root = "/sys/fs/cgroup";
  std::filesystem::path proc_stat = "/proc/stat";
};

class ProcessorLoad {
 public:
  static constexpr std::chrono::milliseconds interval{250};

  explicit ProcessorLoad(const ProcessorFiles& files = {},
                         std::vector<unsigned> processors = allowed_processors());

  /// Takes a sample when the last one is `interval` ago. Call as often as you like.
  void sample(std::int64_t now_ns);
  double per_mille() const noexcept { return per_mille_.load(std::memory_order_relaxed); }
  /// "cgroup" or "machine".
  std::string_view source() const noexcept { return quota_ ? "cgroup" : "machine"; }

 private:
  std::optional<resilience::CpuCounters> read(std::int64_t now_ns) const;
  std::optional<resilience::CpuCounters> read_machine() const;

  ProcessorFiles files_;
  std::vector<unsigned> processors_;  // empty: all
  std::optional<QuotaGroup> quota_;
  resilience::CpuLoad load_;
  std::int64_t sampled_ns_ = INT64_MIN / 2;
  std::atomic<double> per_mille_{0};
};

}  // namespace trialwire::runtime
