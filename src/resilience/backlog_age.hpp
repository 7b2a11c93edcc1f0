// SPDX-License-Identifier: Apache-2.0
// How old the oldest is of what waits in a queue that is left in the order it was entered, known
// from two counts: how many have entered, how many have left. A mark is kept for each 5 ms in which
// something entered, so the age is at most that much too high, in 16 KiB, whatever waits; where
// marks run out (over 5 s of them), entries go to the last one, and the age stays right or too
// high.
//
// Pure: time is passed in; one thread. Nothing allocates.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace trialwire::resilience {

class BacklogAge {
 public:
  /// So many have entered and left since the beginning; neither count goes back.
  void at(std::uint64_t entered, std::uint64_t left, std::int64_t now_ns) noexcept {
    if (entered != entered_) {
      entered_ = entered;
      mark(now_ns);
    }
    while (size_ > 0 && marks_[first_].last <= left) {
      first_ = (first_ + 1) % marks_max;
      --size_;
    }
  }
  /// 0 when nothing waits.
  std::int64_t age_ns(std::int64_t now_ns) const noexcept {
    return size_ == 0 ? 0 : now_ns - marks_[first_].since_ns;
  }

 private:
  static constexpr std::int64_t spacing_ns = 5'000'000;
  static constexpr std::size_t marks_max = 1'024;
  struct Mark {
    std::uint64_t last = 0;  // count of those entered, after the last that it stands for
    std::int64_t since_ns = 0;
  };

  void mark(std::int64_t now_ns) noexcept {
    if (size_ > 0) {
      Mark& newest = marks_[(first_ + size_ - 1) % marks_max];
      if (now_ns - newest.since_ns < spacing_ns || size_ == marks_max) {
        newest.last = entered_;
        return;
      }
    }
    marks_[(first_ + size_) % marks_max] = {entered_, now_ns};
    ++size_;
  }

  std::array<Mark, marks_max> marks_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::uint64_t entered_ = 0;
};

}  // namespace trialwire::resilience
