// SPDX-License-Identifier: Apache-2.0
// Memory that direct I/O can read into and write from: aligned to a block of 4 KiB, whole blocks.
// It is mapped, so that it costs what it holds: a heap loses up to a block beside each aligned
// piece, and keeps what was given back between pieces that stay.
#pragma once
#include <cstddef>

namespace trialwire::journal {

class BlockMemory {
 public:
  BlockMemory() = default;
  /// At least so many bytes, rounded up to whole blocks, not cleared. Aborts when there is no
  /// memory.
  explicit BlockMemory(std::size_t bytes);
  ~BlockMemory();
  BlockMemory(BlockMemory&& other) noexcept;
  BlockMemory& operator=(BlockMemory&& other) noexcept;

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool mapped_ = false;  // else from the heap: a process may have only so many mappings
};

}  // namespace trialwire::journal
