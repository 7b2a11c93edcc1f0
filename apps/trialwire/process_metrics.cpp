// SPDX-License-Identifier: Apache-2.0
#include "process_metrics.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <limits>

#include "open_files.hpp"
#include "version.hpp"

namespace trialwire {
namespace {

double resident_bytes() {
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double open_files() {
  std::error_code error;
  std::filesystem::directory_iterator entries("/proc/self/fd", error);
  if (error) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(std::distance(begin(entries), end(entries)) - 1);  // not its own
}

}  // namespace

void add_process_metrics(telemetry::Registry& metrics) {
  metrics.observe("process_resident_memory_bytes", "Resident memory size.", {}, resident_bytes);
  metrics.observe_total("process_cpu_seconds_total", "User and system CPU time spent.", {},
                        cpu_seconds);
  metrics.observe("process_open_fds", "Open file descriptors.", {}, open_files);
  metrics.observe("process_max_fds", "Most file descriptors that may be open.", {},
                  [] { return static_cast<double>(open_files_max()); });
  auto now = std::chrono::system_clock::now().time_since_epoch();
  metrics.gauge("process_start_time_seconds", "Start of the process since the Unix epoch.")
      .set(std::chrono::duration<double>(now).count());
  metrics
      .gauge("trialwire_build_info", "What runs; always 1.",
             {{"version", std::string(product_version())},
              {"compiler", compiler_version()},
              {"simdjson", simdjson_implementation()}})
      .set(1);
}

double DiskRoom::free_percent() const noexcept {
  if (total_bytes == 0) return 100;
  return 100.0 * static_cast<double>(free_bytes) / static_cast<double>(total_bytes);
}

DiskRoom disk_room(const std::filesystem::path& path) noexcept {
  std::error_code error;
  auto space = std::filesystem::space(path, error);
  if (error) return {};
  return {space.available, space.capacity};
}

}  // namespace trialwire
