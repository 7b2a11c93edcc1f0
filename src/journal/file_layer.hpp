// SPDX-License-Identifier: Apache-2.0
// The disk as the journal sees it: few calls, so that tests can stand one in that tears, flips,
// delays, fills up and fails. Everything else about files is behind this interface.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"

namespace trialwire::journal {

constexpr std::size_t block_bytes = 4096;  // unit of writing
constexpr std::size_t sector_bytes = 512;  // unit that a power cut leaves whole

/// An open file. Closed by its destructor.
class File {
 public:
  virtual ~File() = default;
  /// Writes all of it or fails. Direct files: offset, size and address are multiples of a block.
  virtual Result<void> write_at(std::uint64_t offset, ByteView bytes) = 0;
  /// Fills all of `into` or fails; reading past the end is an error.
  virtual Result<void> read_at(std::uint64_t offset, MutableBytes into) = 0;
  /// What was written before is durable when this returns without error.
  virtual Result<void> sync() = 0;
  /// As `write_at` and then `sync`; a layer may do both in one call when that means the same.
  virtual Result<void> write_and_sync(std::uint64_t offset, ByteView bytes) {
    if (Result<void> written = write_at(offset, bytes); !written) return written;
    return sync();
  }
  virtual Result<std::uint64_t> size() = 0;
  virtual const std::filesystem::path& path() const = 0;
};

/// `create_new` fails when the file exists; mode 0600, whatever the umask.
enum class OpenMode : std::uint8_t { read, write_existing, create_new };

/// Tells a file from a copy of it, also after a restart. Zeros: the layer cannot tell.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// Held by the process that owns a directory; released by its destructor and by the process' end.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

class FileLayer {
 public:
  virtual ~FileLayer() = default;
  /// `direct`: bypass the page cache. Waits for nobody; error corrupt when the path leads to
  /// something that is no regular file.
  virtual Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode,
                                             bool direct) = 0;
  /// Names in it, without "." and ".."; error not_found when it does not exist.
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& directory) = 0;
  /// With its parents, mode 0700; no error when it exists.
  virtual Result<void> create_directory(const std::filesystem::path& directory) = 0;
  /// Locks by the file `path`, which is created when missing. Error: unavailable when another
  /// process (or this one) holds it.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::filesystem::path& path) = 0;
  /// The same for who only reads the directory, which may be a copy that cannot be written: nothing
  /// is created then; without the file nobody has ever held it.
  virtual Result<std::unique_ptr<DirectoryLock>> lock_for_reading(
      const std::filesystem::path& path) {
    return lock(path);
  }
  /// Survives a rename of the file.
  virtual Result<FileIdentity> identity(const std::filesystem::path& path) = 0;
  virtual Result<void> rename(const std::filesystem::path& from,
                              const std::filesystem::path& to) = 0;
  virtual Result<void> remove(const std::filesystem::path& path) = 0;
  /// Makes creations, renames and removals in it durable.
  virtual Result<void> sync_directory(const std::filesystem::path& directory) = 0;
  /// Does this directory take direct writes? By statx and a test write.
  virtual Result<bool> supports_direct(const std::filesystem::path& directory) = 0;
};

/// The real one: POSIX calls. Lives for the whole process.
FileLayer& posix_files();

}  // namespace trialwire::journal
