// SPDX-License-Identifier: Apache-2.0
#include "resilience/token_bucket.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/random.hpp"

namespace trialwire::resilience {
namespace {

constexpr std::int64_t ms = 1'000'000;

TEST(TokenBucket, follows_the_table_of_its_header) {
  const TokenRate rate(10, 3);
  TokenBucket bucket;
  struct Step {
    std::int64_t at_ms;
    bool admitted;
    std::uint64_t tokens_left;
    std::int64_t until_token_ms;
    std::int64_t until_full_ms;
  };
  for (const Step& step :
       {Step{0, true, 2, 0, 100}, Step{0, true, 1, 0, 200}, Step{0, true, 0, 100, 300},
        Step{0, false, 0, 100, 300}, Step{50, false, 0, 50, 250}, Step{99, false, 0, 1, 201},
        Step{100, true, 0, 100, 300}, Step{350, true, 1, 0, 150}, Step{10'000, true, 2, 0, 100}}) {
    SCOPED_TRACE(step.at_ms);
    const std::int64_t now = step.at_ms * ms;
    EXPECT_EQ(bucket.take(rate, now), step.admitted);
    EXPECT_EQ(bucket.tokens(rate, now), step.tokens_left);
    EXPECT_EQ(bucket.until_token_ns(rate, now), step.until_token_ms * ms);
    EXPECT_EQ(bucket.until_full_ns(now), step.until_full_ms * ms);
  }
}

TEST(TokenBucket, of_capacity_one_admits_and_so_does_one_of_none) {
  for (std::uint64_t burst : {0, 1}) {
    const TokenRate rate(1'000, burst);
    TokenBucket bucket;
    EXPECT_TRUE(bucket.take(rate, 7));
    EXPECT_FALSE(bucket.take(rate, 8));
    EXPECT_FALSE(bucket.take(rate, 7 + ms - 1));
    EXPECT_TRUE(bucket.take(rate, 7 + ms));
  }
}

TEST(TokenBucket, reaches_its_rate_with_a_burst_far_under_half_of_it) {
  const TokenRate rate(1'000, 10);
  TokenBucket bucket;
  int admitted = 0;
  for (std::int64_t now = 0; now < 1'000 * ms; now += ms / 4) admitted += bucket.take(rate, now);
  EXPECT_GE(admitted, 1'000);
  EXPECT_LE(admitted, 1'010);
}

TEST(TokenBucket, bears_the_largest_and_the_smallest_rate) {
  const TokenRate fast(1e12, UINT64_MAX);
  TokenBucket bucket;
  for (int i = 0; i < 1'000; ++i) EXPECT_TRUE(bucket.take(fast, INT64_MAX / 4));
  const TokenRate slow(0, UINT64_MAX);
  EXPECT_GE(slow.burst(), 1U);
  TokenBucket other;
  EXPECT_TRUE(other.take(slow, INT64_MAX / 4));
}

TEST(TokenBucket, never_admits_more_than_burst_and_rate_in_any_span) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    support::Random random(seed);
    const auto per_second = static_cast<double>(random.between(1, 1ULL << random.below(24)));
    const std::uint64_t burst = random.between(1, 1ULL << random.below(8));
    const TokenRate rate(per_second, burst);
    TokenBucket bucket;
    std::vector<std::int64_t> admitted;
    auto now = static_cast<std::int64_t>(random.below(1'000'000'000'000));
    for (int i = 0; i < 300; ++i) {
      if (bucket.take(rate, now)) admitted.push_back(now);
      // Bursts, a steady stream near the rate, and pauses.
      const auto pace = static_cast<std::uint64_t>(1e9 / per_second);
      if (!random.one_in(3)) {
        now += static_cast<std::int64_t>(random.below(random.one_in(10) ? 100 * pace : pace + 1));
      }
    }
    ASSERT_FALSE(admitted.empty());
    for (std::size_t from = 0; from < admitted.size(); ++from) {
      for (std::size_t to = from; to < admitted.size(); ++to) {
        const double span = static_cast<double>(admitted[to] - admitted[from]) / 1e9;
        ASSERT_LE(static_cast<double>(to - from + 1),
                  static_cast<double>(burst) + per_second * span + 1e-6);
      }
    }
  }
}

TEST(TokenBucket, admits_whoever_keeps_to_the_rate) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    support::Random random(seed);
    const TokenRate rate(static_cast<double>(random.between(1, 1'000'000)), random.between(1, 100));
    TokenBucket bucket;
    std::int64_t now = 1;
    for (int i = 0; i < 500; ++i) {
      ASSERT_TRUE(bucket.take(rate, now)) << i;
      now += rate.token_ns() + static_cast<std::int64_t>(random.below(3));
    }
  }
}

TEST(TokenBucket, says_truly_when_the_next_token_comes) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    support::Random random(seed);
    const TokenRate rate(static_cast<double>(random.between(1, 100'000)), random.between(1, 20));
    TokenBucket bucket;
    auto now = static_cast<std::int64_t>(random.below(1'000'000));
    for (int i = 0; i < 200; ++i) {
      const std::int64_t wait = bucket.until_token_ns(rate, now);
      TokenBucket copy = bucket;
      if (wait > 0) {
        ASSERT_FALSE(copy.take(rate, now + wait - 1));
      }
      ASSERT_TRUE(copy.take(rate, now + wait));
      ASSERT_EQ(wait == 0, bucket.tokens(rate, now) > 0);
      bucket.take(rate, now);
      now += static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(rate.token_ns())));
    }
  }
}

}  // namespace
}  // namespace trialwire::resilience
