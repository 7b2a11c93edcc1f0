// SPDX-License-Identifier: Apache-2.0
#include "base/private_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include <fmt/format.h>

namespace trialwire {
namespace {

class OpenFile {
 public:
  /// Without waiting for the other end, should it be a pipe.
  explicit OpenFile(const char* path)
      : number_(::open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const noexcept { return number_; }

 private:
  int number_;
};

Result<void> check(const std::filesystem::path& path, const struct stat& status, FileAccess access,
                   std::size_t bytes_max) {
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::io, fmt::format("{} is not a regular file", path.native()));
  }
  const mode_t mode = status.st_mode & 07777;
  if (access == FileAccess::secret && (mode & 077) != 0) {
    return fail(ErrorCode::forbidden, fmt::format("{} can be read by others (mode {:04o}): "
                                                  "chmod 600 it",
                                                  path.native(), mode));
  }
  if (access == FileAccess::trusted && (mode & 02) != 0) {
    return fail(ErrorCode::forbidden, fmt::format("{} can be written by everybody (mode {:04o}): "
                                                  "chmod o-w it",
                                                  path.native(), mode));
  }
  if (static_cast<std::uint64_t>(status.st_size) > bytes_max) {
    return fail(ErrorCode::payload_too_large,
                fmt::format("{} is larger than {} bytes", path.native(), bytes_max));
  }
  return {};
}

}  // namespace

Result<std::string> read_guarded_file(const std::filesystem::path& path, FileAccess access,
                                      std::size_t bytes_max) {
  const OpenFile file(path.c_str());
  auto unreadable = [&] {
    return std::unexpected(errno_error(fmt::format("cannot read {}", path.native()), errno));
  };
  struct stat status{};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) return unreadable();
  if (auto fine = check(path, status, access, bytes_max); !fine) {
    return std::unexpected(fine.error());
  }
  std::string bytes(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    ssize_t read = ::read(file.number(), bytes.data() + have, bytes.size() - have);
    if (read < 0 && errno == EINTR) continue;
    if (read < 0) return unreadable();
    if (read == 0) break;
    have += static_cast<std::size_t>(read);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace trialwire
