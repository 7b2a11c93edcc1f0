// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "journal/file_layer.hpp"

// Older kernel headers lack it; the number is part of the kernel's interface.
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x00002000U
#endif

namespace trialwire::journal {
namespace {

using std::filesystem::path;

std::unexpected<Error> failed(std::string_view what, const path& where, int number) {
  return std::unexpected(errno_error(fmt::format("cannot {} {}", what, where.native()), number));
}

/// What it is when it is no regular file; empty: it is one.
std::string_view kind_of(const struct stat& status) {
  if (S_ISREG(status.st_mode)) return {};
  return S_ISDIR(status.st_mode)    ? "a directory"
         : S_ISFIFO(status.st_mode) ? "a named pipe"
         : S_ISSOCK(status.st_mode) ? "a socket"
                                    : "a device";
}

std::string_view kind_of(int descriptor) {
  struct stat status{};
  return ::fstat(descriptor, &status) == 0 ? kind_of(status) : std::string_view();
}

std::string_view kind_of(const path& where) {
  struct stat status{};
  return ::stat(where.c_str(), &status) == 0 ? kind_of(status) : std::string_view();
}

std::unexpected<Error> no_file(const path& where, std::string_view kind) {
  return fail(ErrorCode::corrupt,
              fmt::format("{}: offset 0: it is {}, not a regular file", where.native(), kind));
}

class PosixFile final : public File {
 public:
  PosixFile(int descriptor, std::filesystem::path where, bool direct)
      : descriptor_(descriptor), direct_(direct), path_(std::move(where)) {}
  ~PosixFile() override { ::close(descriptor_); }

  Result<void> write_at(std::uint64_t offset, ByteView bytes) override {
    return write_all(offset, bytes, 0);
  }

  Result<void> read_at(std::uint64_t offset, MutableBytes into) override {
    while (!into.empty()) {
      const ssize_t got =
          ::pread(descriptor_, into.data(), into.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed("read", path_, errno);
      if (got == 0) {
        return fail(ErrorCode::io,
                    fmt::format("cannot read {}: it ends at offset {}", path_.native(), offset));
      }
      offset += static_cast<std::uint64_t>(got);
      into = into.subspan(static_cast<std::size_t>(got));
    }
    return {};
  }

  Result<void> sync() override {
    if (::fdatasync(descriptor_) != 0) return failed("sync", path_, errno);
    return {};
  }

  // RWF_DSYNC makes this write durable, as fdatasync after it would: one system call fewer, and on
  // devices with forced unit access no flush of the whole cache (docs/decisions/journal-sync.md).
  Result<void> write_and_sync(std::uint64_t offset, ByteView bytes) override {
    if (direct_) return write_all(offset, bytes, RWF_DSYNC);
    return File::write_and_sync(offset, bytes);
  }

  Result<std::uint64_t> size() override {
    struct stat status{};
    if (::fstat(descriptor_, &status) != 0) return failed("stat", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

  const std::filesystem::path& path() const override { return path_; }

 private:
  Result<void> write_all(std::uint64_t offset, ByteView bytes, int flags) {
    while (!bytes.empty()) {
      iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
      const ssize_t put = ::pwritev2(descriptor_, &part, 1, static_cast<off_t>(offset), flags);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) return failed("write", path_, put == 0 ? EIO : errno);
      offset += static_cast<std::uint64_t>(put);
      bytes = bytes.subspan(static_cast<std::size_t>(put));
    }
    return {};
  }

  int descriptor_;
  bool direct_;
  std::filesystem::path path_;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(int descriptor) : descriptor_(descriptor) {}  // -1: there is nothing to hold
  ~PosixLock() override {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  int descriptor_;
};

class PosixFiles final : public FileLayer {
 public:
  Result<std::unique_ptr<File>> open(const path& where, OpenMode mode, bool direct) override {
    // Nobody waits for the other end of a named pipe. Of a regular file it changes nothing.
    int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (direct ? O_DIRECT : 0);
    if (mode == OpenMode::read) flags |= O_RDONLY;
    if (mode == OpenMode::write_existing) flags |= O_RDWR;
    if (mode == OpenMode::create_new) flags |= O_RDWR | O_CREAT | O_EXCL;
    const int descriptor = ::open(where.c_str(), flags, 0600);
    if (descriptor < 0) {
      const int number = errno;
      if (const std::string_view kind = kind_of(where); !kind.empty()) return no_file(where, kind);
      auto error = failed(mode == OpenMode::create_new ? "create" : "open", where, number);
      if (number == ENOENT) error.error().code = ErrorCode::not_found;
      return error;
    }
    if (const std::string_view kind = kind_of(descriptor); !kind.empty()) {
      ::close(descriptor);
      return no_file(where, kind);
    }
    return std::make_unique<PosixFile>(descriptor, where, direct);
  }

  Result<std::vector<std::string>> list(const path& directory) override {
    DIR* entries = ::opendir(directory.c_str());
    if (entries == nullptr) {
      const int number = errno;
      auto error = failed("list", directory, number);
      if (number == ENOENT) error.error().code = ErrorCode::not_found;
      return error;
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(entries)) {
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    ::closedir(entries);
    return names;
  }

  Result<void> create_directory(const path& directory) override {
    std::error_code error;
    if (directory.has_parent_path() && !std::filesystem::exists(directory.parent_path(), error)) {
      if (auto made = create_directory(directory.parent_path()); !made) return made;
    }
    if (::mkdir(directory.c_str(), 0700) == 0) return {};
    const int number = errno;
    if (number == EEXIST && std::filesystem::is_directory(directory, error)) return {};
    return failed("create directory", directory, number);
  }

  Result<std::unique_ptr<DirectoryLock>> lock(const path& where) override {
    const int descriptor = ::open(where.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
    if (descriptor < 0) return failed("open", where, errno);
    return hold(where, descriptor);
  }

  Result<std::unique_ptr<DirectoryLock>> lock_for_reading(const path& where) override {
    const int descriptor = ::open(where.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor >= 0) return hold(where, descriptor);
    if (errno != ENOENT) return failed("open", where, errno);
    if (::access(where.parent_path().c_str(), W_OK) == 0) return lock(where);
    return std::make_unique<PosixLock>(-1);
  }

  static Result<std::unique_ptr<DirectoryLock>> hold(const path& where, int descriptor) {
    if (const std::string_view kind = kind_of(descriptor); !kind.empty()) {
      ::close(descriptor);
      return no_file(where, kind);
    }
    if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      const int number = errno;
      ::close(descriptor);
      if (number != EWOULDBLOCK) return failed("lock", where, number);
      return fail(ErrorCode::unavailable,
                  fmt::format("{} is in use by another process (it holds {})",
                              where.parent_path().native(), where.native()));
    }
    return std::make_unique<PosixLock>(descriptor);
  }

  Result<FileIdentity> identity(const path& where) override {
    struct stat status{};
    if (::stat(where.c_str(), &status) != 0) return failed("stat", where, errno);
    return FileIdentity{status.st_dev, status.st_ino};
  }

  Result<void> rename(const path& from, const path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename", from, errno);
    return {};
  }

  Result<void> remove(const path& where) override {
    if (::unlink(where.c_str()) != 0) return failed("remove", where, errno);
    return {};
  }

  Result<void> sync_directory(const path& directory) override {
    const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return failed("open", directory, errno);
    const int number = ::fsync(descriptor) == 0 ? 0 : errno;
    ::close(descriptor);
    if (number != 0) return failed("sync", directory, number);
    return {};
  }

  Result<bool> supports_direct(const path& directory) override;
};

/// Does the file system say that blocks of 4 KiB may go past its cache? True when it says nothing.
bool alignment_fits(int descriptor) {
  struct statx status{};
  if (::statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0) return true;
  if ((status.stx_mask & STATX_DIOALIGN) == 0) return true;
  // stx_dio_mem_align and stx_dio_offset_align follow stx_mnt_id; older headers name them spare.
  const auto* raw = reinterpret_cast<const std::byte*>(&status);
  const auto memory = load_le<std::uint32_t>(raw + 0x98);
  const auto offset = load_le<std::uint32_t>(raw + 0x9c);
  return offset != 0 && offset <= block_bytes && memory <= block_bytes;
}

/// tmpfs takes direct writes since Linux 6.6, and has nothing but its cache to write them to.
bool lives_in_memory(int descriptor) {
  struct statfs status{};
  return ::fstatfs(descriptor, &status) == 0 &&
         (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC);
}

Result<bool> PosixFiles::supports_direct(const path& directory) {
  const path probe = directory / fmt::format("direct-probe-{}.tmp", ::getpid());
  const int descriptor =
      ::open(probe.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);
  if (descriptor < 0) {
    const int number = errno;
    ::unlink(probe.c_str());
    if (number == EINVAL) return false;
    return failed("create", probe, number);
  }
  bool works = alignment_fits(descriptor) && !lives_in_memory(descriptor);
  if (works) {
    void* block = std::aligned_alloc(block_bytes, block_bytes);
    std::fill_n(static_cast<std::byte*>(block), block_bytes, std::byte{0});
    works = ::pwrite(descriptor, block, block_bytes, 0) == ssize_t{block_bytes} &&
            ::pread(descriptor, block, block_bytes, 0) == ssize_t{block_bytes};
    std::free(block);
  }
  ::close(descriptor);
  ::unlink(probe.c_str());
  return works;
}

}  // namespace

FileLayer& posix_files() {
  static PosixFiles files;
  return files;
}

}  // namespace trialwire::journal
