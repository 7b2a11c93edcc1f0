// SPDX-License-Identifier: Apache-2.0
#include "resilience/backlog_age.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <limits>
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

constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();

/// A queue with a limit of a second, of which `settled` leave every 10 ms, and which `given` enter.
class Queue {
 public:
  void pass(std::uint64_t given, std::uint64_t settled) {
    now_ += 10 * ms;
    entered_ += given;
    left_ = std::min(left_ + settled, entered_);
    age_->at(entered_, left_, now_);
  }
  std::uint64_t waiting() const { return entered_ - left_; }
  std::uint64_t room() { return age_->room(now_); }
  std::int64_t age_ms() const { return age_->age_ns(now_) / ms; }

 private:
  std::unique_ptr<BacklogAge> age_ = std::make_unique<BacklogAge>(1'000 * ms);
  std::uint64_t entered_ = 0;
  std::uint64_t left_ = 0;
  std::int64_t now_ = 0;
};

TEST(BacklogAge, has_room_for_what_leaves_within_the_limit) {
  Queue queue;
  EXPECT_EQ(queue.room(), any);
  // Three times what leaves: 20 more wait every 10 ms, and a third of the time ago came what
  // leaves.
  for (int i = 0; i < 30; ++i) queue.pass(30, 10);
  EXPECT_EQ(queue.room(), any) << "the pace is known after 200 ms with the oldest over 125 ms old";
  for (int i = 0; i < 15; ++i) queue.pass(30, 10);
  EXPECT_EQ(queue.waiting(), 900U);
  EXPECT_NEAR(static_cast<double>(queue.age_ms()), 300, 10);
  EXPECT_NEAR(static_cast<double>(queue.room()), 100, 1) << "1,000 leave in a second";
  queue.pass(110, 10);
  EXPECT_EQ(queue.waiting(), 1'000U);
  EXPECT_LE(queue.room(), 1U);
  // Not given more than leaves, its age comes to the limit.
  for (int i = 0; i < 200; ++i) queue.pass(10, 10);
  EXPECT_NEAR(static_cast<double>(queue.age_ms()), 1'000, 10);
  for (int i = 0; i < 90; ++i) queue.pass(0, 10);
  EXPECT_NEAR(static_cast<double>(queue.room()), 900, 10);
  while (queue.waiting() > 0) queue.pass(0, 10);
  EXPECT_NEAR(static_cast<double>(queue.room()), 1'000, 10) << "the pace is known a while";
  for (int i = 0; i < 200; ++i) queue.pass(0, 10);
  EXPECT_EQ(queue.room(), any);
}

TEST(BacklogAge, a_queue_that_leaves_at_once_says_nothing_of_what_it_can_take) {
  Queue queue;
  for (int i = 0; i < 500; ++i) queue.pass(i % 3 == 0 ? 5 : 0, i % 3 == 2 ? 5 : 0);
  EXPECT_EQ(queue.room(), any);
  queue.pass(50'000, 0);
  EXPECT_EQ(queue.room(), any) << "a burst";
}

TEST(BacklogAge, while_nothing_leaves_the_age_alone_counts) {
  Queue queue;
  queue.pass(10, 0);
  for (int i = 0; i < 100; ++i) queue.pass(0, 0);
  EXPECT_EQ(queue.age_ms(), 1'000);
  EXPECT_EQ(queue.room(), any);
  queue.pass(0, 0);
  EXPECT_EQ(queue.room(), 0U);
}

TEST(BacklogAge, without_a_limit_there_is_room) {
  BacklogAge age;
  age.at(1'000, 0, 0);
  age.at(1'001, 1, 10'000 * ms);
  EXPECT_EQ(age.room(20'000 * ms), any);
}

}  // namespace
}  // namespace trialwire::resilience
