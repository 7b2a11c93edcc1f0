// SPDX-License-Identifier: Apache-2.0
// A budget for second attempts: where many callers each repeat what failed, a dependency that is in
// trouble gets twice the load that brought it there. Each call earns a share of a retry, time earns
// some for who calls seldom, and each retry costs one:
//
//   within any span of T seconds with n calls:  retries <= burst + share · n + per_second · T
//
//   share 0.1, per_second 0, burst 2     left
//   at the start                         2
//   two retries                          0
//   five calls                           0.5   a retry is refused
//   five more                            1     one is granted
//
// Pure, and a plain value: time is passed in, in nanoseconds of a clock that does not go back. In
// whole billionths of a retry, so that ten tenths are one.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace trialwire::resilience {

struct RetryBudgetOptions {
  double share = 0.1;        // of a retry, for each call; 0 to 1
  double per_second = 0.1;   // at most 1,000
  std::uint32_t burst = 10;  // so many may come at once; 0: none ever
};

class RetryBudget {
 public:
  explicit RetryBudget(const RetryBudgetOptions& options) noexcept
      : share_(std::llround(std::clamp(options.share, 0.0, 1.0) * retry)),
        per_second_(std::clamp(options.per_second, 0.0, 1'000.0)),
        most_(retry * static_cast<std::int64_t>(options.burst)),
        left_(most_) {}

  /// A call, which is not itself a retry, is made.
  void called(std::int64_t now_ns) noexcept {
    earn(now_ns);
    left_ = std::min(left_ + share_, most_);
  }
  /// True: one retry may be made.
  bool take(std::int64_t now_ns) noexcept {
    earn(now_ns);
    if (left_ < retry) return false;
    left_ -= retry;
    return true;
  }
  /// Retries that are left, and parts of one.
  double left(std::int64_t now_ns) noexcept {
    earn(now_ns);
    return static_cast<double>(left_) / retry;
  }

 private:
  static constexpr std::int64_t retry = 1'000'000'000;

  void earn(std::int64_t now_ns) noexcept {
    if (!begun_ || now_ns <= at_ns_) {
      at_ns_ = begun_ ? at_ns_ : now_ns;
      begun_ = true;
      return;
    }
    // A billionth of a retry for each nanosecond and retry a second.
    const double earned = static_cast<double>(now_ns - at_ns_) * per_second_;
    left_ += static_cast<std::int64_t>(std::min(earned, static_cast<double>(most_ - left_)));
    at_ns_ = now_ns;
  }

  std::int64_t share_;
  double per_second_;
  std::int64_t most_;
  std::int64_t left_;
  std::int64_t at_ns_ = 0;
  bool begun_ = false;
};

}  // namespace trialwire::resilience
