// SPDX-License-Identifier: Apache-2.0
// A stretch of a file in block-aligned memory, read ahead. What all that reads segments reads
// through: recovery, readers, scrubber, command line.
#pragma once
#include <cstdint>

#include "base/error.hpp"
#include "journal/block_memory.hpp"
#include "journal/file_layer.hpp"

namespace trialwire::journal {

class ReadWindow {
 public:
  /// Borrows nothing yet; `open` before use. Grows to the largest stretch asked for.
  ReadWindow() = default;
  /// Another file; `limit`: nothing at or after this offset is read, a multiple of a block.
  void open(File& file, std::uint64_t limit) noexcept;
  void set_limit(std::uint64_t limit) noexcept { limit_ = limit; }
  std::uint64_t limit() const noexcept { return limit_; }

  /// [offset, offset + bytes), both multiples of a block and within the limit. When it has to read,
  /// it reads `ahead` bytes if there are so many. Valid until the next call.
  Result<ByteView> view(std::uint64_t offset, std::size_t bytes, std::size_t ahead);

 private:
  void reserve(std::size_t bytes);

  File* file_ = nullptr;
  std::uint64_t limit_ = 0;
  std::uint64_t start_ = 0;
  std::size_t loaded_ = 0;
  BlockMemory memory_;
};

}  // namespace trialwire::journal
