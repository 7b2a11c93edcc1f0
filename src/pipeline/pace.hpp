// SPDX-License-Identifier: Apache-2.0
// Does a sink keep up with what arrives for it? The rate of its large deliveries beside that of
// intake: small ones cost a transaction each and say little of what it can do. Without clock or
// I/O.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace trialwire::pipeline {

class Pace {
 public:
  /// The sink took so many records in one delivery.
  void delivered(std::size_t records, std::chrono::nanoseconds took) noexcept;
  /// So many came for it, in the time since this was said last.
  void arrived(std::uint64_t records, std::chrono::nanoseconds in) noexcept;

  /// Or would, but for contention, which makes it up to four times slower. True as long as either
  /// rate is unknown: then it is to be tried.
  bool keeps_up() const noexcept;

 private:
  double delivered_rate_ = 0;  // records/s; 0: unknown
  double arrival_rate_ = 0;
  std::uint64_t records_ = 0;  // that came within `in_`, which is too short to be judged yet
  std::chrono::nanoseconds in_{};
};

}  // namespace trialwire::pipeline
