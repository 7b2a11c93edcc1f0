// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/query_pool.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <stop_token>

namespace trialwire::storage {
namespace {

struct Link {
  int number = 0;
  bool stale = false;
};

class QueryPoolTest : public testing::Test {
 protected:
  Result<QueryPool<Link>::Pointer> take() {
    return pool_.take([](const Link& link) { return !link.stale; },
                      [this]() -> Result<QueryPool<Link>::Pointer> {
                        if (away_) return fail(ErrorCode::unavailable, "no server");
                        return std::make_unique<Link>(Link{.number = ++made_});
                      });
  }
  QueryPool<Link> pool_{2};
  int made_ = 0;
  bool away_ = false;
};

TEST_F(QueryPoolTest, a_connection_is_kept_and_used_again) {
  auto first = take();
  ASSERT_TRUE(first);
  pool_.give_back(std::move(*first));
  auto again = take();
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->number, 1);
  EXPECT_EQ(made_, 1);
}

TEST_F(QueryPoolTest, no_more_than_allowed_are_in_use_and_one_that_went_makes_room) {
  auto first = take();
  auto second = take();
  ASSERT_TRUE(first && second);
  auto third = take();
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::overloaded);
  first->reset();
  pool_.give_back(nullptr);
  auto fourth = take();
  ASSERT_TRUE(fourth);
  EXPECT_EQ((*fourth)->number, 3);
}

TEST_F(QueryPoolTest, what_cannot_be_made_takes_no_place) {
  away_ = true;
  for (int i = 0; i < 5; ++i) EXPECT_EQ(take().error().code, ErrorCode::unavailable);
  away_ = false;
  EXPECT_TRUE(take());
}

TEST_F(QueryPoolTest, one_that_is_stale_is_replaced) {
  auto first = take();
  ASSERT_TRUE(first);
  (*first)->stale = true;
  pool_.give_back(std::move(*first));
  auto next = take();
  ASSERT_TRUE(next);
  EXPECT_EQ((*next)->number, 2);
  EXPECT_TRUE(take()) << "the stale one takes no place";
}

TEST(QueryControlTest, a_query_is_given_up_by_its_asker_or_at_its_deadline) {
  std::stop_source source;
  QueryControl control{.stop = source.get_token()};
  EXPECT_FALSE(given_up(control));
  source.request_stop();
  EXPECT_TRUE(given_up(control));
  EXPECT_EQ(reason_to_give_up(control).code, ErrorCode::cancelled);
  QueryControl late{.deadline = std::chrono::steady_clock::time_point::min()};
  EXPECT_TRUE(given_up(late));
  EXPECT_EQ(reason_to_give_up(late).code, ErrorCode::deadline_exceeded);
}

TEST(QueryControlTest, an_asker_hears_of_a_database_that_is_away_not_of_its_passwords) {
  for (ErrorCode code : {ErrorCode::unauthenticated, ErrorCode::forbidden, ErrorCode::not_found,
                         ErrorCode::not_implemented}) {
    EXPECT_EQ(for_asker({code, ""}).code, ErrorCode::unavailable);
  }
  EXPECT_EQ(for_asker({ErrorCode::invalid_argument, ""}).code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace trialwire::storage
