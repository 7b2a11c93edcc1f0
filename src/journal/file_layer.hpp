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
  virtual Result<std::uint64_t> size() = 0;
  virtual const std::filesystem::path& path() const = 0;
};

enum class OpenMode : std::uint8_t { read, write_existing, create_new };

class FileLayer {
 public:
  virtual ~FileLayer() = default;
  /// `direct`: bypass the page cache.
  virtual Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode,
                                             bool direct) = 0;
  virtual Result<std::vector<std::string>> list(const std::filesystem::path& directory) = 0;
  virtual Result<void> create_directory(const std::filesystem::path& directory) = 0;
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
