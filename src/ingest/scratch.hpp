// SPDX-License-Identifier: Apache-2.0
// Where decoded text goes that cannot be a view into the original because it had escapes. Owned by
// one thread and used for one input at a time; grows to the largest input seen and stays there, so
// that decoding does not allocate once warm.
#pragma once
#include <cstddef>
#include <memory>

#include "base/check.hpp"

namespace trialwire::ingest {

class Scratch {
 public:
  /// Forgets what was decoded before and makes room. Unescaped text is never longer than its
  /// escaped form, so `input_bytes` of room are enough for all strings of one input.
  void begin(std::size_t input_bytes) {
    used_ = 0;
    if (input_bytes <= capacity_) return;
    capacity_ = input_bytes + input_bytes / 2;
    text_ = std::make_unique_for_overwrite<char[]>(capacity_);
  }

  /// At least `bytes` of room; valid until the next `begin`.
  char* reserve(std::size_t bytes) noexcept {
    TW_CHECK(capacity_ - used_ >= bytes);
    return text_.get() + used_;
  }
  void commit(std::size_t bytes) noexcept { used_ += bytes; }

 private:
  std::unique_ptr<char[]> text_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

}  // namespace trialwire::ingest
