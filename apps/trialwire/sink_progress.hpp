// SPDX-License-Identifier: Apache-2.0
// Whether a sink gets on, as /readyz shows it. Asked by one thread; the time is passed in.
#pragma once
#include <chrono>
#include <cstdint>
#include <string_view>

#include "admin.hpp"

namespace trialwire {

class SinkProgress {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds answer_patience{1};
  static constexpr std::chrono::seconds move_patience{5};  // longer than a slow transaction takes

  explicit SinkProgress(Time started) noexcept : moved_(started) {}

  /// `at` as Lane::next_sequence says it, `end` the journal's next sequence. Not ok: it has not
  /// said where it is for `answer_patience`, or has not moved towards the end for `move_patience`;
  /// one at the end whose last attempt failed (`trouble`, else empty) does not move either.
  /// Never required: intake goes on without it.
  ReadinessCheck check(std::uint64_t at, std::uint64_t end, Time now,
                       std::string_view trouble = {});

 private:
  std::uint64_t seen_ = 0;
  Time moved_;
};

}  // namespace trialwire
