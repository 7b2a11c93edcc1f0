// SPDX-License-Identifier: Apache-2.0
// A circuit breaker before one dependency: while it fails, most calls are refused at once instead
// of waiting for it, and what still comes through finds out when it is well again.
//
// Adaptive (client-side throttling of Google's SRE book, chapter 21, with a memory of how long it
// has failed): over 40 buckets that make `window`, the one that lasts included,
//
//   w    = k - (k - floor) · failing_buckets / 40
//   drop = (total - protection - max(w, floor) · accepts) / (total + 1)
//     total            calls of the window, those that were refused here too
//     accepts          those that succeeded
//     failing_buckets  trailing buckets with failures and no success; working_buckets the reverse;
//                      empty ones count as neither and end neither
//   drop <= 0                            → the call is made
//   none was made for probe_interval     → this one is made: a probe
//   else, with chance drop · (40 - working_buckets) / 40, it is refused
//
// Ratio (the classic form): closed until a call fails and of the window's `calls_min` or more less
// than `success_ratio` succeeded; open for `open_for`; then one probe at a time decides.
//
//   | state     | calls             | becomes
//   | closed    | made              | open, when a call fails and the rule above says so
//   | open      | refused, mostly   | half_open after open_for (ratio) or probe_interval
//   | half_open | one probe is made | closed when it succeeds (adaptive: once drop <= 0), else open
//
// Adaptive is half_open, too, when the window has forgotten the failures and no call has succeeded
// since the last of them: calls are made, and whether the dependency is well is not known. Only a
// call that succeeds ends an outage.
//
// Example, adaptive, defaults: 20 calls, all failed within one bucket: w = 1.49, drop = 15/21 =
// 0.71. With 6 failures of 6: drop = 1/7. Five failures are never enough.
//
// Pure: time and chance are passed in; one thread. Nothing allocates.
#pragma once
#include <chrono>
#include <cstdint>

#include "resilience/rolling_window.hpp"

namespace trialwire::resilience {

enum class BreakerKind : std::uint8_t { adaptive, ratio };
enum class BreakerState : std::uint8_t { closed, half_open, open, count_ };

struct BreakerOptions {
  BreakerKind kind = BreakerKind::adaptive;
  std::chrono::nanoseconds window{10'000'000'000};  // at least 40 ns
  double k = 1.5;                                   // so many calls are made for each that succeeds
  double floor = 1.1;                               // what k sinks to while nothing succeeds
  std::uint32_t protection = 5;                     // so many calls of a window are never refused
  std::chrono::nanoseconds probe_interval{1'000'000'000};
  double success_ratio = 0.5;  // the rest is of the ratio form
  std::uint32_t calls_min = 20;
  std::chrono::nanoseconds open_for{5'000'000'000};
};

class Breaker {
 public:
  explicit Breaker(const BreakerOptions& options) noexcept;

  enum class Call : std::uint8_t { refused, made, probe };
  /// `chance` is in [0, 1). What is not refused is followed by exactly one of the next three.
  Call admit(std::int64_t now_ns, double chance) noexcept;
  /// A call that is made whatever the state, by who has just been answered well.
  Call make(std::int64_t now_ns) noexcept;
  void succeeded(Call call, std::int64_t now_ns) noexcept;
  void failed(Call call, std::int64_t now_ns) noexcept;
  /// So many calls that were made without `admit`, while it was `calm`, and succeeded.
  void succeeded_calmly(std::uint32_t calls, std::int64_t now_ns) noexcept;
  /// It says nothing of the dependency: it was cancelled, or shed before it got there.
  void withdrawn(Call call) noexcept;

  BreakerState state(std::int64_t now_ns) noexcept;
  /// Closed, and no failure within the window: `admit` would refuse nothing.
  bool calm(std::int64_t now_ns) noexcept;

 private:
  struct Bucket {
    std::uint32_t total = 0;
    std::uint32_t accepts = 0;
    std::uint32_t failures = 0;
  };
  static constexpr std::size_t bucket_count = 40;

  void advance(std::int64_t now_ns) noexcept;
  void count(std::int64_t now_ns, bool accepted, bool failure) noexcept;
  double drop() const noexcept;
  double look() noexcept;
  std::size_t working_buckets() const noexcept;
  std::size_t failing_buckets() const noexcept;
  bool probe_is_due(std::int64_t now_ns) const noexcept;
  Call admit_adaptive(std::int64_t now_ns, double chance) noexcept;
  Call admit_by_ratio(std::int64_t now_ns) noexcept;
  void judge_by_ratio(Call call, std::int64_t now_ns, bool success) noexcept;

  BreakerOptions options_;
  RollingWindow<Bucket, bucket_count> window_;
  std::int64_t total_ = 0;  // of the window
  std::int64_t accepts_ = 0;
  std::int64_t failures_ = 0;
  std::int64_t made_ns_ = INT64_MIN / 2;  // the last call that was made
  std::int64_t opened_ns_ = 0;
  bool open_ = false;     // open or half open
  bool answers_ = true;   // adaptive: the last call whose end is known succeeded
  bool probing_ = false;  // a probe is under way, since made_ns_
};

}  // namespace trialwire::resilience
