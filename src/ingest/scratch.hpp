// SPDX-License-Identifier: Apache-2.0
// Where decoded text goes that cannot be a view into the original because it had escapes. Owned by
// one thread and used for one input at a time; blocks never move and are kept, so that decoding
// does not allocate once warm. Holds at most what the inputs that needed it were long.
#pragma once
#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

namespace trialwire::ingest {

class Scratch {
 public:
  /// Forgets what was decoded before.
  void begin() noexcept {
    block_ = 0;
    used_ = 0;
  }

  /// At least `bytes` of room; what is then committed of it is valid until the next `begin`.
  char* reserve(std::size_t bytes) {
    while (block_ < blocks_.size() && blocks_[block_].size - used_ < bytes) {
      ++block_;
      used_ = 0;
    }
    if (block_ == blocks_.size()) {
      std::size_t size = std::max(bytes, block_bytes);
      blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
      used_ = 0;
    }
    return blocks_[block_].text.get() + used_;
  }
  void commit(std::size_t bytes) noexcept { used_ += bytes; }

 private:
  static constexpr std::size_t block_bytes = 16 << 10;
  struct Block {
    std::unique_ptr<char[]> text;
    std::size_t size = 0;
  };
  std::vector<Block> blocks_;
  std::size_t block_ = 0;
  std::size_t used_ = 0;
};

}  // namespace trialwire::ingest
