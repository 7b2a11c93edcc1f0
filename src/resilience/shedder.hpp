// SPDX-License-Identifier: Apache-2.0
// Adaptive load shedding: a server that has no processor left refuses what it could only queue. By
// Little's law what can be under way without queueing is throughput times round-trip time, both
// taken from the last five seconds:
//
//   max_flight = max(1, max_pass · min_rt · buckets a second)
//     max_pass   largest number of answers of one bucket, at least 1
//     min_rt     smallest mean round trip of one bucket, in seconds; 1 when nothing was answered
//   factor     = clamp((1000 - cpu) / (1000 - threshold), 0.1, 1)
//   shed       = (cpu >= threshold, or something was shed less than 1 s ago)
//                and flying > most and avg_flying > most
//     most       max(max_flight · factor, flight_min - 1)
//
// (Of the reference flight_min is 1. Here it is as many as what is behind can work on at once: most
// of a list's time is the database's, and one at a time would leave the workers idle.)
//
// 50 buckets of 100 ms, of which the one that lasts is not looked at. avg_flying follows flying
// with each answer: 0.9 · old + 0.1 · flying. Round trips are kept in nanoseconds: in whole
// milliseconds a fast route would count as one.
//
// Example: 20 answers in the best bucket, 50 ms in the fastest: 20 · 0.05 · 10 = 10 may fly. With
// cpu 950 of 1000 and a threshold of 900 that is halved: the sixth waiting one is shed.
//
// Pure: time and load are passed in; one thread. Nothing allocates.
#pragma once
#include <cstdint>

#include "resilience/rolling_window.hpp"

namespace trialwire::resilience {

struct ShedderOptions {
  double cpu_threshold = 900;    // per mille of the processors; 1000 and more: never
  std::uint32_t flight_min = 1;  // so many are let in whatever the load; at least 1
};

class Shedder {
 public:
  explicit Shedder(ShedderOptions options) noexcept : options_(options) {}

  /// True: the request is under way until `finished` or `left`. `cpu`: load per mille.
  bool admit(std::int64_t now_ns, double cpu) noexcept;
  /// It was answered after so long.
  void finished(std::int64_t now_ns, std::int64_t took_ns) noexcept;
  /// It failed, or its client has gone: not counted as an answer.
  void left() noexcept;

  std::int64_t flying() const noexcept { return flying_; }
  double average_flying() const noexcept { return average_flying_; }
  /// What may be under way, before the factor. Looks through the window.
  double max_flight(std::int64_t now_ns) noexcept;
  /// How much of it is left to a load.
  static double factor(double cpu, double threshold) noexcept;

 private:
  struct Bucket {
    std::int64_t answers = 0;
    std::int64_t took_ns = 0;  // all of them
  };
  static constexpr std::size_t bucket_count = 50;
  static constexpr std::int64_t bucket_ns = 100'000'000;

  bool overloaded(std::int64_t now_ns, double cpu) const noexcept;
  void land() noexcept;

  ShedderOptions options_;
  RollingWindow<Bucket, bucket_count> window_{bucket_ns};
  std::int64_t flying_ = 0;
  double average_flying_ = 0;
  std::int64_t shed_ns_ = INT64_MIN / 2;  // last
};

}  // namespace trialwire::resilience
