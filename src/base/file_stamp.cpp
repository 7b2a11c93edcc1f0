// SPDX-License-Identifier: Apache-2.0
#include "base/file_stamp.hpp"

#include <sys/stat.h>

namespace trialwire {

FileStamp stamp_of(const std::filesystem::path& path) noexcept {
  struct stat status{};
  if (path.empty() || ::stat(path.c_str(), &status) != 0) return {};
  return {status.st_ino,
          std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
          static_cast<std::uint64_t>(status.st_size)};
}

}  // namespace trialwire
