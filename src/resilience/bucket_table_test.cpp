// SPDX-License-Identifier: Apache-2.0
#include "resilience/bucket_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "support/random.hpp"

namespace trialwire::resilience {
namespace {

constexpr std::int64_t ms = 1'000'000;

Hash128 key_of(std::uint64_t number) {
  return siphash({3, 4}, std::as_bytes(std::span(&number, 1)));
}

TEST(BucketTable, gives_each_key_a_bucket_of_its_own) {
  BucketTable table(TokenRate(10, 2), 4);
  EXPECT_TRUE(table.take(key_of(1), 0).admitted);
  EXPECT_TRUE(table.take(key_of(1), 0).admitted);
  EXPECT_FALSE(table.take(key_of(1), 0).admitted);
  EXPECT_TRUE(table.take(key_of(2), 0).admitted);
  EXPECT_EQ(table.size(), 2U);
}

TEST(BucketTable, forgets_who_has_been_idle_and_nobody_else) {
  BucketTable table(TokenRate(10, 1), 2);
  table.take(key_of(1), 0);
  table.take(key_of(2), 50 * ms);
  auto third = table.take(key_of(3), 100 * ms);  // 1 is full again
  EXPECT_TRUE(third.admitted);
  EXPECT_FALSE(third.shared);
  EXPECT_FALSE(table.take(key_of(2), 100 * ms).admitted) << "it was not forgotten";
  EXPECT_EQ(table.size(), 2U);
}

TEST(BucketTable, limits_strangers_together_when_nobody_is_idle) {
  BucketTable table(TokenRate(10, 2), 2);
  table.take(key_of(1), 0);
  table.take(key_of(2), 0);
  auto third = table.take(key_of(3), 0);
  EXPECT_TRUE(third.admitted && third.shared);
  EXPECT_TRUE(table.take(key_of(4), 0).admitted);
  auto fifth = table.take(key_of(5), 0);
  EXPECT_FALSE(fifth.admitted) << "it fails closed";
  EXPECT_TRUE(fifth.shared);
  EXPECT_EQ(table.size(), 2U);
  EXPECT_FALSE(table.take(key_of(5), 1'000 * ms).shared) << "and has a bucket when there is room";
}

TEST(BucketTable, looks_past_a_few_that_are_older_but_not_idle) {
  const TokenRate rate(10, 100);
  BucketTable table(rate, 3);
  for (int i = 0; i < 100; ++i) table.take(key_of(1), 0);  // empty: full again after 10 s
  table.take(key_of(2), 1 * ms);
  table.take(key_of(3), 2 * ms);
  EXPECT_FALSE(table.take(key_of(4), 200 * ms).shared);
  EXPECT_EQ(table.take(key_of(1), 200 * ms).bucket.tokens(rate, 200 * ms), 1U)
      << "the empty one is still known";
}

TEST(BucketTable, never_grows_and_never_gives_a_key_more_than_its_rate) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    support::Random random(seed);
    const auto per_second = static_cast<double>(random.between(1, 1'000));
    const std::uint64_t burst = random.between(1, 8);
    const std::size_t most = random.between(1, 40);
    BucketTable table(TokenRate(per_second, burst), most);
    std::map<std::uint64_t, std::vector<std::int64_t>> admitted;  // 0: the shared one
    std::int64_t now = 0;
    for (int i = 0; i < 2'000; ++i) {
      const std::uint64_t key = random.between(1, 60);
      auto taken = table.take(key_of(key), now);
      if (taken.admitted) admitted[taken.shared ? 0 : key].push_back(now);
      ASSERT_LE(table.size(), most);
      now += static_cast<std::int64_t>(random.below(random.one_in(50) ? 2'000 * ms : 3 * ms));
    }
    for (const auto& [key, times] : admitted) {
      for (std::size_t from = 0; from < times.size(); ++from) {
        for (std::size_t to = from; to < times.size(); ++to) {
          const double span = static_cast<double>(times[to] - times[from]) / 1e9;
          ASSERT_LE(static_cast<double>(to - from + 1),
                    static_cast<double>(burst) + per_second * span + 1e-6)
              << "key " << key;
        }
      }
    }
  }
}

}  // namespace
}  // namespace trialwire::resilience
