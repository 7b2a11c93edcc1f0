// SPDX-License-Identifier: Apache-2.0
// A token bucket as one number: the time at which it is full again (the generic cell rate
// algorithm, ITU-T I.371). What a taker may have is `burst` at once and `rate` a second on average:
// within any span of T seconds never more than burst + rate · T.
//
//   rate 10/s, burst 3          full at      tokens
//   at 0 ms nothing was taken   -            3
//   at 0 ms three are taken     300 ms       0
//   at 50 ms                    300 ms       2.5 are missing: refused, one comes in 50 ms
//   at 100 ms one is taken      400 ms       0
//
// Pure, and a plain value: time is passed in, in nanoseconds of a clock that does not go back.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace trialwire::resilience {

/// What all buckets of one kind have in common.
class TokenRate {
 public:
  /// `per_second` over 0. A burst under 1 is 1: a bucket that never admits is no limit but a wall.
  /// The time of a token is rounded up to a nanosecond, so that rounding never admits more; at
  /// 1,000,000 a second and under it costs less than 0.1 % of the rate.
  TokenRate(double per_second, std::uint64_t burst) noexcept
      : token_ns_(static_cast<std::int64_t>(
            std::clamp(std::ceil(1e9 / std::max(per_second, 1e-6)), 1.0, 1e15))),
        burst_(std::clamp<std::uint64_t>(
            burst, 1,
            std::max<std::uint64_t>(1, span_ns_max / static_cast<std::uint64_t>(token_ns_)))) {}

  std::int64_t token_ns() const noexcept { return token_ns_; }
  std::uint64_t burst() const noexcept { return burst_; }
  /// From empty to full.
  std::int64_t fill_ns() const noexcept { return token_ns_ * static_cast<std::int64_t>(burst_); }

 private:
  static constexpr std::uint64_t span_ns_max = 4'000'000'000'000'000'000;
  std::int64_t token_ns_;
  std::uint64_t burst_;
};

class TokenBucket {
 public:
  /// One token, if there is one.
  bool take(const TokenRate& rate, std::int64_t now_ns) noexcept {
    const std::int64_t full_at = std::max(full_at_ns_, now_ns) + rate.token_ns();
    if (full_at - now_ns > rate.fill_ns()) return false;
    full_at_ns_ = full_at;
    return true;
  }
  /// Whole tokens that are there.
  std::uint64_t tokens(const TokenRate& rate, std::int64_t now_ns) const noexcept {
    const std::int64_t there = rate.fill_ns() - until_full_ns(now_ns);
    return there <= 0 ? 0 : static_cast<std::uint64_t>(there / rate.token_ns());
  }
  /// Until one can be taken; 0: now.
  std::int64_t until_token_ns(const TokenRate& rate, std::int64_t now_ns) const noexcept {
    return std::max<std::int64_t>(until_full_ns(now_ns) + rate.token_ns() - rate.fill_ns(), 0);
  }
  std::int64_t until_full_ns(std::int64_t now_ns) const noexcept {
    return std::max<std::int64_t>(full_at_ns_ - now_ns, 0);
  }
  /// Then it is as a new one, and to forget it gives nobody anything.
  bool full(std::int64_t now_ns) const noexcept { return full_at_ns_ <= now_ns; }

 private:
  std::int64_t full_at_ns_ = 0;
};

}  // namespace trialwire::resilience
