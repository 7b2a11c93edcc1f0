// SPDX-License-Identifier: Apache-2.0
#include "loadgen/histogram.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "loadgen/schedule.hpp"

namespace trialwire::loadgen {
namespace {

TEST(LatencyHistogram, an_empty_one_answers_zero) {
  const LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.quantile(0.99), 0U);
  EXPECT_EQ(histogram.max(), 0U);
}

TEST(LatencyHistogram, quantiles_of_a_ramp_are_within_one_percent) {
  LatencyHistogram histogram;
  for (std::uint64_t i = 1; i <= 1'000'000; ++i) histogram.record(i * 1000);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.5)), 5e8, 5e6);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.999)), 9.99e8, 1e7);
  EXPECT_EQ(histogram.quantile(1), 1'000'000'000U);
}

RC_GTEST_PROP(LatencyHistogram, keeps_any_single_value_to_within_one_128th, ()) {
  const auto value = *rc::gen::inRange<std::uint64_t>(1, std::uint64_t{1} << 40);
  LatencyHistogram histogram;
  histogram.record(value);
  histogram.record(std::uint64_t{1} << 40);  // so that `max` does not clip the first
  const auto kept = histogram.quantile(0.5);
  RC_ASSERT(kept >= value);
  RC_ASSERT(kept - value <= value / 128);
}

TEST(LatencyHistogram, values_beyond_its_range_count_and_stay_the_maximum) {
  LatencyHistogram histogram;
  histogram.record(5);
  histogram.record(std::uint64_t{1} << 50);
  EXPECT_EQ(histogram.count(), 2U);
  EXPECT_EQ(histogram.quantile(0.5), 5U);
  EXPECT_EQ(histogram.quantile(0.99), std::uint64_t{1} << 50);
}

TEST(LatencyHistogram, merging_adds_counts_and_keeps_the_larger_maximum) {
  LatencyHistogram one;
  LatencyHistogram two;
  one.record(100);
  two.record(200);
  two.record(1);
  one.merge(two);
  EXPECT_EQ(one.count(), 3U);
  EXPECT_EQ(one.max(), 200U);
  EXPECT_EQ(one.quantile(0.3), 1U);
}

TEST(Schedule, fixed_arrivals_are_evenly_apart_and_do_not_drift) {
  Schedule schedule({.per_second = 3, .arrivals = Arrivals::fixed}, 1'000);
  EXPECT_EQ(schedule.due_ns(), 1'000);
  for (int i = 0; i < 3'000'000; ++i) schedule.advance();
  EXPECT_NEAR(static_cast<double>(schedule.due_ns() - 1'000), 1e15, 1);
}

TEST(Schedule, poisson_arrivals_have_the_rate_asked_for_and_never_go_back) {
  Schedule schedule({.per_second = 10'000, .arrivals = Arrivals::poisson, .seed = 7}, 0);
  std::int64_t before = 0;
  double squares = 0;
  constexpr int arrivals = 200'000;
  for (int i = 0; i < arrivals; ++i) {
    ASSERT_GE(schedule.due_ns(), before);
    const auto gap = static_cast<double>(schedule.due_ns() - before);
    squares += gap * gap;
    before = schedule.due_ns();
    schedule.advance();
  }
  EXPECT_NEAR(static_cast<double>(before) / arrivals, 1e5, 1e3);
  // Exponential gaps: the mean of the squares is twice the square of the mean.
  EXPECT_NEAR(squares / arrivals, 2e10, 1e9);
}

}  // namespace
}  // namespace trialwire::loadgen
