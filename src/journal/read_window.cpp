// SPDX-License-Identifier: Apache-2.0
#include "journal/read_window.hpp"

#include <algorithm>
#include <cstring>

#include "base/check.hpp"

namespace trialwire::journal {

void ReadWindow::open(File& file, std::uint64_t limit) noexcept {
  file_ = &file;
  limit_ = limit;
  start_ = 0;
  loaded_ = 0;
}

void ReadWindow::reserve(std::size_t bytes) {
  if (bytes <= memory_.size()) return;
  BlockMemory larger(bytes);
  if (loaded_ > 0) std::memcpy(larger.data(), memory_.data(), loaded_);
  memory_ = std::move(larger);
}

Result<ByteView> ReadWindow::view(std::uint64_t offset, std::size_t bytes, std::size_t ahead) {
  TW_CHECK(file_ != nullptr && offset % block_bytes == 0 && bytes % block_bytes == 0);
  TW_CHECK(offset <= limit_ && bytes <= limit_ - offset);
  const bool inside = offset >= start_ && offset - start_ <= loaded_;
  const std::size_t skipped = inside ? offset - start_ : 0;
  if (inside && loaded_ - skipped >= bytes) return ByteView(memory_.data() + skipped, bytes);
  const std::size_t wanted = std::min<std::uint64_t>(std::max(bytes, ahead), limit_ - offset);
  // Keep what is already here of the stretch, at the front.
  loaded_ = inside ? loaded_ - skipped : 0;
  if (loaded_ > 0) std::memmove(memory_.data(), memory_.data() + skipped, loaded_);
  reserve(wanted);
  start_ = offset;
  const MutableBytes rest(memory_.data() + loaded_, wanted - loaded_);
  if (Result<void> read = file_->read_at(offset + loaded_, rest); !read) {
    loaded_ = 0;
    return std::unexpected(read.error());
  }
  loaded_ = wanted;
  return ByteView(memory_.data(), bytes);
}

}  // namespace trialwire::journal
