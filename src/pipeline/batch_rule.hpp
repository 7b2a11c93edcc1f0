// SPDX-License-Identifier: Apache-2.0
// When what a lane has collected is delivered: a rule by number, bytes and time, without clock or
// I/O of its own. Records of a kind with a rule of its own are counted and timed by that one too;
// the delivery is due when the first of the rules says so, and takes along what there is.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "journal/record.hpp"

namespace trialwire::pipeline {

/// Of one kind of record, in place of the general numbers.
struct KindBatch {
  journal::RecordKind kind = journal::RecordKind::qol_answer;
  std::size_t records = 100;
  std::chrono::milliseconds delay{1'000};
  std::size_t records_max = 2'048;  // of the kind in one delivery, when the sink lags
};

struct BatchLimits {
  std::size_t records = 512;                         // deliver when so many wait …
  std::chrono::milliseconds delay{500};              // … or the oldest has waited so long
  std::size_t records_max = 16'384;                  // of one delivery, when the sink lags
  std::size_t bytes_max = 8 << 20;                   // likewise
  std::chrono::milliseconds delivery_interval{100};  // from one delivery's start to the next's
                                                     // unless a largest one waits: fewer syncs
  std::vector<KindBatch> kinds;
};

class BatchRule {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit BatchRule(BatchLimits limits);

  void add(const journal::Record& record, std::size_t bytes, Time now) noexcept;
  void clear() noexcept;

  /// Nothing more is to be taken. `small`: deliveries as small as the rule allows.
  bool full(bool small) const noexcept;
  /// When a batch with what was added is to be delivered.
  Time due(Time last_delivery) const noexcept;
  const BatchLimits& limits() const noexcept { return limits_; }

 private:
  struct Count {
    std::size_t records = 0;
    Time first{};
  };
  static constexpr std::size_t kinds_max = 16;
  static constexpr std::uint8_t general = 0;

  BatchLimits limits_;
  std::array<std::uint8_t, kinds_max> rule_of_kind_{};  // index into counts_
  std::vector<KindBatch> rules_;                        // the general one first
  std::vector<Count> counts_;
  std::size_t records_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace trialwire::pipeline
