// SPDX-License-Identifier: Apache-2.0
#include "open_files.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace trialwire {

std::uint64_t raise_open_files() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  return open_files_max();
}

std::uint64_t open_files_max() noexcept {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

std::uint64_t files_kept(std::uint64_t files_max) noexcept {
  constexpr std::uint64_t most = 1024;
  return std::min(most, files_max / 2);
}

std::uint64_t connections_within(std::uint64_t files_max, std::uint64_t wanted) noexcept {
  const std::uint64_t room = files_max - files_kept(files_max);
  return std::max<std::uint64_t>(std::min(wanted, room), 1);
}

}  // namespace trialwire
