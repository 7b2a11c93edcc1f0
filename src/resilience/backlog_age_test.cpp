// SPDX-License-Identifier: Apache-2.0
#include "resilience/backlog_age.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <memory>

#include "support/random.hpp"

namespace trialwire::resilience {
namespace {

constexpr std::int64_t ms = 1'000'000;

TEST(BacklogAge, is_that_of_the_oldest_that_waits) {
  BacklogAge age;
  EXPECT_EQ(age.age_ns(7 * ms), 0);
  age.at(3, 0, 100 * ms);
  age.at(5, 0, 120 * ms);
  EXPECT_EQ(age.age_ns(150 * ms), 50 * ms);
  age.at(5, 2, 150 * ms);
  EXPECT_EQ(age.age_ns(150 * ms), 50 * ms) << "the third is as old";
  age.at(5, 3, 160 * ms);
  EXPECT_EQ(age.age_ns(160 * ms), 40 * ms);
  age.at(5, 5, 170 * ms);
  EXPECT_EQ(age.age_ns(200 * ms), 0);
}

TEST(BacklogAge, is_never_too_low_and_at_most_5_ms_too_high) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    support::Random random(seed);
    auto age = std::make_unique<BacklogAge>();
    std::deque<std::int64_t> waiting;
    std::uint64_t entered = 0;
    std::uint64_t left = 0;
    std::int64_t now = 0;
    for (int i = 0; i < 5'000; ++i) {
      now += static_cast<std::int64_t>(random.below(2 * ms));
      for (std::uint64_t n = random.below(4); n > 0; --n, ++entered) waiting.push_back(now);
      for (std::uint64_t n = random.below(random.one_in(50) ? 200 : 3); n > 0 && !waiting.empty();
           --n, ++left) {
        waiting.pop_front();
      }
      age->at(entered, left, now);
      const std::int64_t true_age = waiting.empty() ? 0 : now - waiting.front();
      ASSERT_GE(age->age_ns(now), true_age);
      if (waiting.empty()) {
        ASSERT_EQ(age->age_ns(now), 0);
      }
      ASSERT_LE(age->age_ns(now), true_age + 5 * ms);
    }
  }
}

TEST(BacklogAge, is_not_too_low_when_the_queue_stands_for_longer_than_there_are_marks) {
  auto age = std::make_unique<BacklogAge>();
  for (std::uint64_t i = 1; i <= 3'000; ++i) {
    age->at(i, 0, static_cast<std::int64_t>(i) * 10 * ms);
    ASSERT_EQ(age->age_ns(static_cast<std::int64_t>(i) * 10 * ms),
              static_cast<std::int64_t>(i - 1) * 10 * ms);
  }
  age->at(3'000, 2'000, 30'000 * ms);
  EXPECT_GE(age->age_ns(30'000 * ms), 10'000 * ms);
  age->at(3'000, 3'000, 30'000 * ms);
  EXPECT_EQ(age->age_ns(30'000 * ms), 0);
}

}  // namespace
}  // namespace trialwire::resilience
