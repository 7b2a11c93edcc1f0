// SPDX-License-Identifier: Apache-2.0
// A growable run of bytes that are not initialised before they are written: std::string would clear
// what `recv` is about to fill. One owner, one thread. Allocation failure ends the process, as
// everywhere.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/check.hpp"

namespace trialwire::net {

class ByteBuffer {
 public:
  ByteBuffer() = default;
  ~ByteBuffer() { std::free(data_); }
  ByteBuffer(const ByteBuffer&) = delete;
  ByteBuffer& operator=(const ByteBuffer&) = delete;

  char* data() noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  std::size_t capacity() const noexcept { return capacity_; }
  bool empty() const noexcept { return size_ == 0; }
  std::string_view view() const noexcept { return {data_, size_}; }

  /// Room for `more` bytes behind the content; their place.
  char* reserve_more(std::size_t more) noexcept {
    if (capacity_ - size_ < more) grow(size_ + more);
    return data_ + size_;
  }
  void reserve_exactly(std::size_t bytes) noexcept {
    if (bytes > capacity_) reallocate(bytes);
  }
  /// After writing to the place that `reserve_more` gave.
  void commit(std::size_t bytes) noexcept { size_ += bytes; }
  void append(std::string_view text) noexcept {
    if (text.empty()) return;
    std::memcpy(reserve_more(text.size()), text.data(), text.size());
    size_ += text.size();
  }
  void truncate(std::size_t size) noexcept { size_ = size; }
  void clear() noexcept { size_ = 0; }
  /// Gives the memory back.
  void release() noexcept {
    std::free(data_);
    data_ = nullptr;
    size_ = capacity_ = 0;
  }

 private:
  void grow(std::size_t least) noexcept {
    std::size_t next = capacity_ < 256 ? 256 : capacity_ * 2;
    reallocate(next < least ? least : next);
  }
  void reallocate(std::size_t bytes) noexcept {
    auto* moved = static_cast<char*>(std::realloc(data_, bytes));
    TW_CHECK(moved != nullptr);
    data_ = moved;
    capacity_ = bytes;
  }

  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace trialwire::net
