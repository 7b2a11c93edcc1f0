// SPDX-License-Identifier: Apache-2.0
#include "journal/recent_batches.hpp"

#include <gtest/gtest.h>

#include <set>

namespace trialwire::journal {
namespace {

using namespace std::chrono_literals;

class RecentBatchesTest : public testing::Test {
 protected:
  void add(std::size_t payload_bytes, std::uint32_t records = 10) {
    auto batch = recent_.acquire(payload_bytes);
    seen_.insert(batch.get());
    auto payload = batch->buffer.begin(payload_bytes, records);
    std::ranges::fill(payload, std::byte{static_cast<std::uint8_t>(recent_.next_sequence())});
    batch->first_sequence = recent_.next_sequence();
    recent_.publish(std::move(batch));
  }
  RecentBatches recent_{1 << 20, 1};
  std::set<void*> seen_;
};

TEST_F(RecentBatchesTest, ABatchIsFoundByAnyOfItsSequences) {
  for (int i = 0; i < 5; ++i) add(1000);
  for (std::uint64_t s = 1; s <= 50; ++s) {
    RecentBatch* batch = recent_.pin(s);
    ASSERT_NE(batch, nullptr);
    EXPECT_LE(batch->first_sequence, s);
    EXPECT_GT(batch->first_sequence + 10, s);
    recent_.unpin(batch);
  }
  EXPECT_EQ(recent_.pin(51), nullptr);
}

TEST_F(RecentBatchesTest, TheOldestGoWhenTheLimitIsReachedAndTheirMemoryIsUsedAgain) {
  for (int i = 0; i < 200; ++i) add(50'000);
  EXPECT_LE(recent_.bytes(), std::size_t{1} << 20);
  EXPECT_EQ(recent_.pin(1), nullptr);
  RecentBatch* last = recent_.pin(2000);
  ASSERT_NE(last, nullptr);
  recent_.unpin(last);
  EXPECT_LE(seen_.size(), 22u);
}

TEST_F(RecentBatchesTest, ABatchThatIsBeingReadOutlivesItsTurnAndHoldsNobodyUp) {
  add(50'000);
  RecentBatch* mine = recent_.pin(1);
  const std::byte before = mine->buffer.payload()[0];
  for (int i = 0; i < 100; ++i) add(50'000);
  EXPECT_EQ(recent_.pin(1), nullptr);
  EXPECT_EQ(mine->buffer.payload()[0], before);
  EXPECT_EQ(mine->buffer.payload()[49'999], before);
  recent_.unpin(mine);
  add(50'000);
}

TEST_F(RecentBatchesTest, ABatchLargerThanTheLimitIsKeptAloneUntilTheNext) {
  add(3 << 20);
  RecentBatch* large = recent_.pin(5);
  ASSERT_NE(large, nullptr);
  recent_.unpin(large);
  add(1000);
  EXPECT_LE(recent_.bytes(), std::size_t{1} << 20);
}

TEST_F(RecentBatchesTest, WaitingEndsWithTheBatchTheTimeOrTheStop) {
  EXPECT_FALSE(recent_.wait_for(1, 0ms, {}));
  EXPECT_FALSE(recent_.wait_for(1, 1ms, {}));
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_FALSE(recent_.wait_for(1, 60s, stop.get_token()));
  std::jthread writer([&] { add(100); });
  EXPECT_TRUE(recent_.wait_for(1, 60s, {}));
}

TEST(RecentBatches, LimitZeroKeepsNothing) {
  RecentBatches none(0, 7);
  auto batch = none.acquire(100);
  batch->buffer.begin(100, 2);
  batch->first_sequence = 7;
  none.publish(std::move(batch));
  EXPECT_EQ(none.pin(7), nullptr);
  EXPECT_TRUE(none.wait_for(8, 0ms, {}));
}

}  // namespace
}  // namespace trialwire::journal
