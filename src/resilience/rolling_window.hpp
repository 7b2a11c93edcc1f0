// SPDX-License-Identifier: Apache-2.0
// The last `count` spans of time, a bucket each; the newest is the one that lasts. Pure: time is
// passed in, in nanoseconds; a time before the newest bucket counts as that bucket's.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace trialwire::resilience {

template <typename Bucket, std::size_t count>
class RollingWindow {
 public:
  /// `span_ns` of one bucket, over 0.
  explicit RollingWindow(std::int64_t span_ns) noexcept : span_ns_(span_ns) {}

  /// Moves on to `now_ns`; `leaves(bucket)` is called for each that is too old before it is
  /// emptied.
  template <typename Leaves>
  void advance(std::int64_t now_ns, Leaves leaves) noexcept {
    const std::int64_t number = now_ns / span_ns_;
    if (number <= number_) return;
    const std::int64_t passed = number - number_;
    const auto emptied =
        passed < static_cast<std::int64_t>(count) ? passed : static_cast<std::int64_t>(count);
    for (std::int64_t i = 0; i < emptied; ++i) {
      newest_ = newest_ + 1 == count ? 0 : newest_ + 1;
      leaves(buckets_[newest_]);
      buckets_[newest_] = {};
    }
    number_ = number;
  }
  void advance(std::int64_t now_ns) noexcept {
    advance(now_ns, [](const Bucket&) {});
  }

  Bucket& newest() noexcept { return buckets_[newest_]; }
  /// From the newest back, `age` from 0 to count - 1.
  const Bucket& back(std::size_t age) const noexcept {
    return buckets_[newest_ >= age ? newest_ - age : newest_ + count - age];
  }
  void clear() noexcept { buckets_ = {}; }

 private:
  std::int64_t span_ns_;
  std::int64_t number_ = 0;  // of the newest, since the clock's beginning
  std::size_t newest_ = 0;
  std::array<Bucket, count> buckets_{};
};

}  // namespace trialwire::resilience
