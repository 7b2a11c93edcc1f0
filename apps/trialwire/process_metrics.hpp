// SPDX-License-Identifier: Apache-2.0
// What the operating system says of this process: memory, processor time, descriptors, start; and
// what was built. Read at scrape time.
#pragma once
#include <filesystem>

#include "telemetry/metrics.hpp"

namespace trialwire {

void add_process_metrics(telemetry::Registry& metrics);

/// Of the file system that holds `path`.
struct DiskRoom {
  std::uint64_t free_bytes = 0;  // for this user
  std::uint64_t total_bytes = 0;
  double free_percent() const noexcept;
};
DiskRoom disk_room(const std::filesystem::path& path) noexcept;

}  // namespace trialwire
