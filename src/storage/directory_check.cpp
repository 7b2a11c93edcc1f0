// SPDX-License-Identifier: Apache-2.0
#include "storage/directory_check.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include <fmt/format.h>

namespace trialwire::storage {
namespace {

using std::filesystem::path;

/// errno; 0: it can be made.
int try_file(const path& directory) {
  int file = ::open(directory.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0 && (errno == EACCES || errno == EROFS || errno == ENOTDIR)) return errno;
  if (file < 0) {
    // A file system without such files: one with a name, which goes at once.
    std::string name = (directory / ".trialwire-check.XXXXXX").string();
    file = ::mkostemp(name.data(), O_CLOEXEC);
    if (file < 0) return errno;
    ::unlink(name.c_str());
  }
  ::close(file);
  return 0;
}

}  // namespace

Result<bool> check_directory(const path& directory) {
  std::error_code wrong;
  path there = std::filesystem::absolute(directory.empty() ? "." : directory, wrong);
  if (wrong) return std::unexpected(errno_error(directory.string(), wrong.value()));
  there = there.lexically_normal();
  struct stat status{};
  bool missing = false;
  while (::stat(there.c_str(), &status) != 0) {
    if (errno != ENOENT || !there.has_relative_path()) {
      return std::unexpected(errno_error(there.string(), errno));
    }
    missing = true;
    there = there.parent_path();
  }
  const int error = S_ISDIR(status.st_mode) ? try_file(there) : ENOTDIR;
  if (error == 0) return !missing;
  return std::unexpected(errno_error(fmt::format("cannot write in {}", there.string()), error));
}

}  // namespace trialwire::storage
