// SPDX-License-Identifier: Apache-2.0
#include "journal/read_window.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/check.hpp"

namespace trialwire::journal {

void ReadWindow::Free::operator()(std::byte* memory) const noexcept {
  std::free(memory);
}

void ReadWindow::open(File& file, std::uint64_t limit) noexcept {
  file_ = &file;
  limit_ = limit;
  start_ = 0;
  loaded_ = 0;
}

void ReadWindow::reserve(std::size_t bytes) {
  if (bytes <= capacity_) return;
  std::unique_ptr<std::byte, Free> larger(
      static_cast<std::byte*>(std::aligned_alloc(block_bytes, bytes)));
  TW_CHECK(larger != nullptr);
  if (loaded_ > 0) std::memcpy(larger.get(), memory_.get(), loaded_);
  memory_ = std::move(larger);
  capacity_ = bytes;
}

Result<ByteView> ReadWindow::view(std::uint64_t offset, std::size_t bytes, std::size_t ahead) {
  TW_CHECK(file_ != nullptr && offset % block_bytes == 0 && bytes % block_bytes == 0);
  TW_CHECK(offset <= limit_ && bytes <= limit_ - offset);
  const bool inside = offset >= start_ && offset - start_ <= loaded_;
  const std::size_t skipped = inside ? offset - start_ : 0;
  if (inside && loaded_ - skipped >= bytes) return ByteView(memory_.get() + skipped, bytes);
  const std::size_t wanted = std::min<std::uint64_t>(std::max(bytes, ahead), limit_ - offset);
  // Keep what is already here of the stretch, at the front.
  loaded_ = inside ? loaded_ - skipped : 0;
  if (loaded_ > 0) std::memmove(memory_.get(), memory_.get() + skipped, loaded_);
  reserve(wanted);
  start_ = offset;
  const MutableBytes rest(memory_.get() + loaded_, wanted - loaded_);
  if (Result<void> read = file_->read_at(offset + loaded_, rest); !read) {
    loaded_ = 0;
    return std::unexpected(read.error());
  }
  loaded_ = wanted;
  return ByteView(memory_.get(), bytes);
}

}  // namespace trialwire::journal
