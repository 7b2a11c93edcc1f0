// SPDX-License-Identifier: Apache-2.0
#include "resilience/retry_budget.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/random.hpp"

namespace trialwire::resilience {
namespace {

constexpr std::int64_t second = 1'000'000'000;

TEST(RetryBudget, is_earned_by_calls_and_spent_by_retries) {
  RetryBudget budget({.share = 0.1, .per_second = 0, .burst = 2});
  EXPECT_DOUBLE_EQ(budget.left(0), 2);
  EXPECT_TRUE(budget.take(0));
  EXPECT_TRUE(budget.take(0));
  EXPECT_FALSE(budget.take(0));
  for (int i = 0; i < 9; ++i) budget.called(0);
  EXPECT_FALSE(budget.take(1'000 * second)) << "nine tenths, however long ago";
  budget.called(0);
  EXPECT_TRUE(budget.take(0)) << "ten tenths are one";
  EXPECT_DOUBLE_EQ(budget.left(0), 0);
}

TEST(RetryBudget, holds_no_more_than_its_burst) {
  RetryBudget budget({.share = 1, .per_second = 100, .burst = 3});
  for (int i = 0; i < 50; ++i) budget.called(i * second);
  EXPECT_DOUBLE_EQ(budget.left(100 * second), 3);
}

TEST(RetryBudget, comes_back_by_time_for_who_calls_seldom) {
  RetryBudget budget({.share = 0, .per_second = 0.5, .burst = 1});
  EXPECT_TRUE(budget.take(7 * second));
  EXPECT_FALSE(budget.take(8 * second));
  EXPECT_DOUBLE_EQ(budget.left(8 * second), 0.5);
  EXPECT_TRUE(budget.take(9 * second));
}

TEST(RetryBudget, of_no_burst_never_grants_one) {
  RetryBudget budget({.share = 1, .per_second = 10, .burst = 0});
  for (int i = 0; i < 10; ++i) {
    budget.called(i * second);
    EXPECT_FALSE(budget.take(i * second));
  }
}

TEST(RetryBudget, a_clock_that_goes_back_earns_nothing) {
  RetryBudget budget({.share = 0, .per_second = 1, .burst = 1});
  EXPECT_TRUE(budget.take(100 * second));
  EXPECT_FALSE(budget.take(10 * second));
  EXPECT_FALSE(budget.take(100 * second));
  EXPECT_TRUE(budget.take(101 * second));
}

/// In every span of every sequence: burst + share · calls + per_second · time.
TEST(RetryBudget, never_grants_more_than_it_says_in_any_span) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    support::Random random(seed);
    const RetryBudgetOptions options{.share = static_cast<double>(random.below(101)) / 100,
                                     .per_second = static_cast<double>(random.below(30)) / 10,
                                     .burst = static_cast<std::uint32_t>(random.below(20))};
    RetryBudget budget(options);
    struct Event {
      std::int64_t at_ns;
      bool call;
      bool granted;
    };
    std::vector<Event> events;
    std::int64_t now = static_cast<std::int64_t>(random.below(1'000)) * second;
    for (int i = 0; i < 150; ++i) {
      now += static_cast<std::int64_t>(random.below(2) * random.below(second));
      const bool call = random.percent(60);
      if (call) budget.called(now);
      events.push_back({now, call, !call && budget.take(now)});
    }
    for (std::size_t from = 0; from < events.size(); ++from) {
      double calls = 0, retries = 0;
      for (std::size_t to = from; to < events.size(); ++to) {
        calls += events[to].call ? 1 : 0;
        retries += events[to].granted ? 1 : 0;
        const double seconds = static_cast<double>(events[to].at_ns - events[from].at_ns) / second;
        ASSERT_LE(retries,
                  options.burst + options.share * calls + options.per_second * seconds + 1e-6)
            << "seed " << seed << ", events " << from << " to " << to;
      }
    }
  }
}

}  // namespace
}  // namespace trialwire::resilience
