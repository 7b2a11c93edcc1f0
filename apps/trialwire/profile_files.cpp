// SPDX-License-Identifier: Apache-2.0
#include "profile_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace trialwire {
namespace {

Result<void> write_new(const std::filesystem::path& path, std::string_view content) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) return std::unexpected(errno_error("cannot make " + path.string(), errno));
  int error = 0;
  while (!content.empty() && error == 0) {
    const ssize_t put = ::write(file, content.data(), content.size());
    if (put < 0 && errno != EINTR) error = errno;
    if (put > 0) content.remove_prefix(static_cast<std::size_t>(put));
  }
  ::close(file);
  if (error == 0) return {};
  ::unlink(path.c_str());  // a part is no profile
  return std::unexpected(errno_error("cannot write " + path.string(), error));
}

/// Sorts by time: "20261127T080910.123Z".
std::string stamp(std::int64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / 1'000'000'000);
  return fmt::format("{:%Y%m%dT%H%M%S}.{:03}Z", fmt::gmtime(seconds), unix_ns / 1'000'000 % 1'000);
}

}  // namespace

ProfileFiles::ProfileFiles(std::filesystem::path directory, std::size_t kept)
    : directory_(std::move(directory)), kept_(kept) {}

Result<std::filesystem::path> ProfileFiles::write(const ProfileFileName& name, std::int64_t unix_ns,
                                                  std::string_view content) const {
  if (::mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST)
    return std::unexpected(errno_error("cannot make " + directory_.string(), errno));
  std::filesystem::path path =
      directory_ / fmt::format("{}-{}{}", name.kind, stamp(unix_ns), name.suffix);
  if (auto written = write_new(path, content); !written) return std::unexpected(written.error());
  remove_old(name);
  return path;
}

void ProfileFiles::remove_old(const ProfileFileName& name) const noexcept {
  std::error_code error;
  std::vector<std::filesystem::path> found;
  std::filesystem::directory_iterator entry(directory_, error);
  for (; !error && entry != end(entry); entry.increment(error)) {
    const std::string file = entry->path().filename();
    if (file.starts_with(fmt::format("{}-", name.kind)) && file.ends_with(name.suffix))
      found.push_back(entry->path());
  }
  std::ranges::sort(found);
  for (std::size_t i = 0; i + kept_ < found.size(); ++i) std::filesystem::remove(found[i], error);
}

std::size_t ProfileFiles::count() const noexcept {
  std::error_code error;
  std::filesystem::directory_iterator entry(directory_, error);
  std::size_t found = 0;
  for (; !error && entry != end(entry); entry.increment(error)) ++found;
  return found;
}

}  // namespace trialwire
