// SPDX-License-Identifier: Apache-2.0
#include "pipeline/pace.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace trialwire::pipeline {
namespace {

using namespace std::chrono_literals;

TEST(PaceTest, what_is_not_known_is_to_be_tried) {
  Pace pace;
  EXPECT_TRUE(pace.keeps_up());
  pace.arrived(1'000'000, 1s);
  EXPECT_TRUE(pace.keeps_up());
}

TEST(PaceTest, contention_may_make_it_four_times_slower) {
  Pace pace;
  pace.delivered(10'000, 1s);
  pace.arrived(40'000, 1s);
  EXPECT_TRUE(pace.keeps_up());
  pace.arrived(40'010, 1s);
  EXPECT_FALSE(pace.keeps_up());
}

TEST(PaceTest, small_deliveries_say_nothing) {
  Pace pace;
  pace.arrived(10'000, 1s);
  pace.delivered(4'095, 10s);
  EXPECT_TRUE(pace.keeps_up());
  pace.delivered(4'096, 10s);
  EXPECT_FALSE(pace.keeps_up());
}

TEST(PaceTest, both_rates_follow_what_is_newest) {
  Pace pace;
  pace.delivered(10'000, 1s);
  pace.arrived(80'000, 1s);
  EXPECT_FALSE(pace.keeps_up());
  for (int i = 0; i < 8; ++i) pace.arrived(4'000, 1s);
  EXPECT_TRUE(pace.keeps_up());
  for (int i = 0; i < 8; ++i) pace.delivered(10'000, 20s);
  EXPECT_FALSE(pace.keeps_up());
}

TEST(PaceTest, arrivals_of_short_times_are_added_up) {
  Pace pace;
  pace.delivered(10'000, 1s);
  for (int i = 0; i < 199; ++i) pace.arrived(80, 1ms);
  EXPECT_TRUE(pace.keeps_up());
  pace.arrived(80, 1ms);
  EXPECT_FALSE(pace.keeps_up());
}

}  // namespace
}  // namespace trialwire::pipeline
