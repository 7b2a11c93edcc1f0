// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <filesystem>

namespace trialwire {

/// What tells, without reading it, that a file is another one than it was.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;  // 0: there is none, or no path
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;  // of its owner or mode, too
  std::uint64_t bytes = 0;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

FileStamp stamp_of(const std::filesystem::path& path) noexcept;

}  // namespace trialwire
