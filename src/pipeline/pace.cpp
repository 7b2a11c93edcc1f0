// SPDX-License-Identifier: Apache-2.0
#include "pipeline/pace.hpp"

namespace trialwire::pipeline {
namespace {

constexpr std::size_t judged_records = 4'096;  // a delivery
constexpr std::chrono::milliseconds judged_time{200};
// Where it is asked for the processor is contended, and deliveries are that much slower there.
constexpr double contention = 4;

double rate_of(std::uint64_t records, std::chrono::nanoseconds time) {
  return static_cast<double>(records) / std::chrono::duration<double>(time).count();
}

/// Half of it is the newest, a quarter the one before.
void follow(double& rate, double newest) noexcept {
  rate = rate == 0 ? newest : (rate + newest) / 2;
}

}  // namespace

void Pace::delivered(std::size_t records, std::chrono::nanoseconds took) noexcept {
  if (records >= judged_records && took.count() > 0)
    follow(delivered_rate_, rate_of(records, took));
}

void Pace::arrived(std::uint64_t records, std::chrono::nanoseconds in) noexcept {
  records_ += records;
  in_ += in;
  if (in_ < judged_time) return;
  follow(arrival_rate_, rate_of(records_, in_));
  records_ = 0;
  in_ = {};
}

bool Pace::keeps_up() const noexcept {
  return delivered_rate_ == 0 || contention * delivered_rate_ >= arrival_rate_;
}

}  // namespace trialwire::pipeline
