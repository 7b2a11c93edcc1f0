// SPDX-License-Identifier: Apache-2.0
#include "journal/block_memory.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <utility>

#include "base/check.hpp"
#include "journal/file_layer.hpp"

namespace trialwire::journal {

BlockMemory::BlockMemory(std::size_t bytes)
    : size_((bytes + block_bytes - 1) / block_bytes * block_bytes) {
  if (size_ == 0) return;
  void* memory = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mapped_ = memory != MAP_FAILED;
  if (!mapped_) memory = std::aligned_alloc(block_bytes, size_);
  TW_CHECK(memory != nullptr);
  data_ = static_cast<std::byte*>(memory);
}

BlockMemory::~BlockMemory() {
  if (mapped_)
    ::munmap(data_, size_);
  else
    std::free(data_);
}

BlockMemory::BlockMemory(BlockMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, false)) {}

BlockMemory& BlockMemory::operator=(BlockMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

}  // namespace trialwire::journal
