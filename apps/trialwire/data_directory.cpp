// SPDX-License-Identifier: Apache-2.0
#include "data_directory.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <utility>

#include <fmt/format.h>

#include "stop_signal.hpp"

namespace trialwire {
namespace {

std::filesystem::path ports_file(const std::filesystem::path& data_dir) {
  return data_dir / "run" / "ports.json";
}

/// mkdir -p with mode 0700.
Result<void> make_directory(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT || !path.has_parent_path() || path.parent_path() == path) {
    return std::unexpected(errno_error(fmt::format("cannot create {}", path.string()), errno));
  }
  if (auto parent = make_directory(path.parent_path()); !parent) return parent;
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return std::unexpected(errno_error(fmt::format("cannot create {}", path.string()), errno));
}

Result<void> write_whole(const std::filesystem::path& path, const std::string& text) {
  auto failed = [&path](int error) {
    return std::unexpected(errno_error(fmt::format("cannot write {}", path.string()), error));
  };
  std::string temporary = path.string() + ".tmp";
  int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return failed(errno);
  auto written = ::write(file, text.data(), text.size());
  int error = written < 0 ? errno : ENOSPC;
  ::close(file);
  if (written != static_cast<ssize_t>(text.size())) return failed(error);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return failed(errno);
  return {};
}

/// " (process 812)" of whoever published itself here; empty when nobody did.
std::string holder(const std::filesystem::path& data_dir) {
  std::ostringstream text;
  text << std::ifstream(ports_file(data_dir)).rdbuf();
  std::string json = text.str();
  constexpr std::string_view key = "\"pid\":";
  std::size_t at = json.find(key);
  if (at == std::string::npos) return {};
  return fmt::format(" (process {})", std::strtol(json.c_str() + at + key.size(), nullptr, 10));
}

}  // namespace

DataDirectory::DataDirectory(std::filesystem::path path, int descriptor) noexcept
    : path_(std::move(path)), descriptor_(descriptor) {}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      published_(std::exchange(other.published_, false)) {}

DataDirectory::~DataDirectory() {
  if (published_) {
    ::unlink(ports_file(path_).c_str());
    StopSignal::removes({});  // before the lock goes: from then on the file may be another's
  }
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<DataDirectory> DataDirectory::open(const std::filesystem::path& path) {
  if (auto made = make_directory(path); !made) return std::unexpected(made.error());
  auto failed = [&path](std::string_view what, int error) {
    return std::unexpected(errno_error(fmt::format("data_dir {} {}", path.string(), what), error));
  };
  int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return failed("cannot be opened", errno);
  DataDirectory directory(path, descriptor);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failed("cannot be locked", errno);
    return fail(ErrorCode::unavailable, fmt::format("data_dir {} is in use by another trialwire{}",
                                                    path.string(), holder(path)));
  }
  if (::faccessat(descriptor, ".", W_OK | X_OK, AT_EACCESS) != 0) {
    return failed("is not writable", errno);
  }
  return directory;
}

bool DataDirectory::open_to_others() const noexcept {
  struct stat status{};
  return ::fstat(descriptor_, &status) == 0 && (status.st_mode & 077) != 0;
}

Result<void> DataDirectory::publish(const ServingAddresses& addresses) {
  if (auto made = make_directory(path_ / "run"); !made) return made;
  auto written = write_whole(ports_file(path_),
                             fmt::format("{{\"pid\":{},\"http\":\"{}\",\"admin\":\"{}\"}}\n",
                                         ::getpid(), addresses.http, addresses.admin));
  published_ = written.has_value();
  if (published_) StopSignal::removes(std::filesystem::absolute(ports_file(path_)));
  return written;
}

std::filesystem::path path_of_url(std::string_view url, const std::filesystem::path& data_dir) {
  std::string_view path = url.substr(url.find(':') + 1);
  constexpr std::string_view in_data_dir = "data/";
  if (path.starts_with(in_data_dir)) return data_dir / path.substr(in_data_dir.size());
  return path;
}

std::filesystem::path dead_letters_path(const std::filesystem::path& data_dir) {
  return data_dir / "deadletters.db";
}

}  // namespace trialwire
