// SPDX-License-Identifier: Apache-2.0
// How old the oldest is of what waits in a queue that is left in the order it was entered, known
// from two counts: how many have entered, how many have left. A mark is kept for each 5 ms in which
// something entered, so the age is at most that much too high, in 16 KiB, whatever waits; where
// marks run out (over 5 s of them), entries go to the last one, and the age stays right or too
// high.
//
// The age of the oldest says what those waited that came a while ago; of a burst that comes at once
// it says nothing. So how many leave in a second is measured too, but only while the oldest is
// older than an eighth of the limit, for a queue that is short leaves as it enters; over the last 2
// s. Where that is not known, the age alone counts.
//
// Pure: time is passed in; one thread. Nothing allocates.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "resilience/rolling_window.hpp"

namespace trialwire::resilience {

class BacklogAge {
 public:
  /// Limit of how long one may wait; 0: none.
  explicit BacklogAge(std::int64_t most_ns = 0) noexcept : most_ns_(most_ns) {}

  /// So many have entered and left since the beginning; neither count goes back.
  void at(std::uint64_t entered, std::uint64_t left, std::int64_t now_ns) noexcept {
    pace_.advance(now_ns);
    if (age_ns(now_ns_) > most_ns_ / 8) {
      pace_.newest().left += left - left_;
      pace_.newest().took_ns += std::max<std::int64_t>(now_ns - now_ns_, 0);
    }
    left_ = left;
    now_ns_ = now_ns;
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
  /// How many more may enter now, each of which leaves within the limit, at the pace that is known;
  /// none where the oldest is beyond it, any number where there is no limit or no pace is known.
  std::uint64_t room(std::int64_t now_ns) noexcept {
    if (most_ns_ == 0) return any;
    if (age_ns(now_ns) > most_ns_) return 0;
    pace_.advance(now_ns);
    Pace sum;
    for (std::size_t age = 0; age < spans; ++age) {
      sum.left += pace_.back(age).left;
      sum.took_ns += pace_.back(age).took_ns;
    }
    if (sum.left == 0 || sum.took_ns < known_from_ns) return any;
    const double fits = static_cast<double>(most_ns_) / static_cast<double>(sum.took_ns) *
                        static_cast<double>(sum.left);
    const std::uint64_t waiting = entered_ - left_;
    return fits > static_cast<double>(waiting) ? static_cast<std::uint64_t>(fits) - waiting : 0;
  }

 private:
  static constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
  static constexpr std::size_t spans = 10;
  static constexpr std::int64_t span_ns = 200'000'000;
  static constexpr std::int64_t known_from_ns = span_ns;
  struct Pace {
    std::uint64_t left = 0;
    std::int64_t took_ns = 0;  // while the oldest was that old
  };

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

  std::int64_t most_ns_;
  std::array<Mark, marks_max> marks_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
  std::uint64_t entered_ = 0;
  std::uint64_t left_ = 0;
  std::int64_t now_ns_ = 0;
  RollingWindow<Pace, spans> pace_{span_ns};
};

}  // namespace trialwire::resilience
