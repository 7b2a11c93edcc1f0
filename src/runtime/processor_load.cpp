// SPDX-License-Identifier: Apache-2.0
#include "runtime/processor_load.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace trialwire::runtime {
namespace {

/// Nanoseconds of processor time that a group has used: usage_usec of cpu.stat, or cpuacct.usage.
std::optional<double> group_usage_ns(const QuotaGroup& quota) {
  if (!quota.v2) {
    double usage = 0;
    if (!(std::ifstream(quota.group / "cpuacct.usage") >> usage)) return std::nullopt;
    return usage;
  }
  std::ifstream file(quota.group / "cpu.stat");
  std::string name;
  double value = 0;
  while (file >> name >> value) {
    if (name == "usage_usec") return value * 1e3;
  }
  return std::nullopt;
}

/// "cpu3" → 3; nothing for "cpu", which is the sum of all, and for other lines.
std::optional<unsigned> processor_of(std::string_view name) {
  if (!name.starts_with("cpu") || name.size() == 3) return std::nullopt;
  unsigned number = 0;
  auto [end, error] = std::from_chars(name.data() + 3, name.data() + name.size(), number);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace

ProcessorLoad::ProcessorLoad(const ProcessorFiles& files, std::vector<unsigned> processors)
    : files_(files),
      processors_(std::move(processors)),
      quota_(least_quota(files.proc_self_cgroup, files.cgroup_root)) {
  // A quota without a count of what is used says nothing: then the machine is looked at.
  if (quota_ && !group_usage_ns(*quota_)) quota_.reset();
}

/// A line a processor: "cpu3 user nice system idle iowait irq softirq steal …", in ticks.
std::optional<resilience::CpuCounters> ProcessorLoad::read_machine() const {
  std::ifstream file(files_.proc_stat);
  resilience::CpuCounters sum;
  for (std::string line; std::getline(file, line) && line.starts_with("cpu");) {
    std::istringstream fields(line);
    std::string name;
    fields >> name;
    auto number = processor_of(name);
    if (!number) continue;
    if (!processors_.empty() && !std::ranges::binary_search(processors_, *number)) continue;
    constexpr int idle = 3, iowait = 4, counted = 8;  // what follows is in user and nice already
    double ticks = 0;
    for (int field = 0; field < counted && fields >> ticks; ++field) {
      sum.available += ticks;
      if (field != idle && field != iowait) sum.used += ticks;
    }
  }
  if (sum.available <= 0) return std::nullopt;
  return sum;
}

std::optional<resilience::CpuCounters> ProcessorLoad::read(std::int64_t now_ns) const {
  if (!quota_) return read_machine();
  auto used = group_usage_ns(*quota_);
  if (!used) return std::nullopt;
  return resilience::CpuCounters{*used, static_cast<double>(now_ns) * quota_->processors};
}

void ProcessorLoad::sample(std::int64_t now_ns) {
  if (now_ns - sampled_ns_ < std::chrono::nanoseconds(interval).count()) return;
  sampled_ns_ = now_ns;
  auto counters = read(now_ns);
  if (!counters) return;
  load_.sample(*counters);
  per_mille_.store(load_.per_mille(), std::memory_order_relaxed);
}

}  // namespace trialwire::runtime
