// SPDX-License-Identifier: Apache-2.0
#include "resilience/shedder.hpp"

#include <algorithm>

namespace trialwire::resilience {
namespace {

constexpr double second_ns = 1e9;
constexpr double average_kept = 0.9;
constexpr std::int64_t hot_ns = 1'000'000'000;
constexpr double factor_min = 0.1;
constexpr double cpu_full = 1000;

}  // namespace

double Shedder::factor(double cpu, double threshold) noexcept {
  if (threshold >= cpu_full) return 1;
  return std::clamp((cpu_full - cpu) / (cpu_full - threshold), factor_min, 1.0);
}

double Shedder::max_flight(std::int64_t now_ns) noexcept {
  window_.advance(now_ns);
  std::int64_t max_pass = 1;
  double min_rt_ns = second_ns;
  bool any = false;
  for (std::size_t age = 1; age < bucket_count; ++age) {
    const Bucket& bucket = window_.back(age);
    if (bucket.answers == 0) continue;
    max_pass = std::max(max_pass, bucket.answers);
    const double mean = static_cast<double>(bucket.took_ns) / static_cast<double>(bucket.answers);
    min_rt_ns = any ? std::min(min_rt_ns, mean) : mean;
    any = true;
  }
  constexpr double buckets_per_second = second_ns / static_cast<double>(bucket_ns);
  return std::max(1.0, static_cast<double>(max_pass) * min_rt_ns * buckets_per_second / second_ns);
}

bool Shedder::overloaded(std::int64_t now_ns, double cpu) const noexcept {
  if (options_.cpu_threshold >= cpu_full) return false;
  return cpu >= options_.cpu_threshold || now_ns - shed_ns_ < hot_ns;
}

bool Shedder::admit(std::int64_t now_ns, double cpu) noexcept {
  if (overloaded(now_ns, cpu)) [[unlikely]] {
    const double most = std::max(max_flight(now_ns) * factor(cpu, options_.cpu_threshold),
                                 static_cast<double>(options_.flight_min) - 1);
    if (average_flying_ > most && static_cast<double>(flying_) > most) {
      shed_ns_ = now_ns;
      return false;
    }
  }
  ++flying_;
  return true;
}

void Shedder::land() noexcept {
  --flying_;
  average_flying_ =
      average_kept * average_flying_ + (1 - average_kept) * static_cast<double>(flying_);
}

void Shedder::finished(std::int64_t now_ns, std::int64_t took_ns) noexcept {
  land();
  window_.advance(now_ns);
  ++window_.newest().answers;
  window_.newest().took_ns += std::max<std::int64_t>(took_ns, 0);
}

void Shedder::left() noexcept {
  land();
}

}  // namespace trialwire::resilience
