// SPDX-License-Identifier: Apache-2.0
#include "pipeline/give_way.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string_view>

namespace trialwire::pipeline {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr ProcessorTime calm{20ms, 1ms};
constexpr ProcessorTime contention{20ms, 30ms};
constexpr Intake busy{.appended = 1'000, .backlog = {}};

TEST(GiveWayTest, without_contention_there_is_no_pause) {
  GiveWay rule({});
  for (int i = 0; i < 10; ++i) rule.batch_done(calm, busy);
  EXPECT_FALSE(rule.gives_way());
  EXPECT_EQ(rule.pause(), 0ms);
}

TEST(GiveWayTest, pauses_double_while_contention_lasts_up_to_the_cap) {
  GiveWay rule({});
  for (milliseconds pause : {250ms, 500ms, 1'000ms, 2'000ms, 2'000ms, 2'000ms}) {
    rule.batch_done(contention, busy);
    EXPECT_EQ(rule.pause(), pause);
    EXPECT_TRUE(rule.goes_on(busy));
  }
}

TEST(GiveWayTest, one_batch_without_contention_releases_at_once_and_the_next_pause_is_the_first) {
  GiveWay rule({});
  for (int i = 0; i < 5; ++i) rule.batch_done(contention, busy);
  rule.batch_done(calm, busy);
  EXPECT_FALSE(rule.gives_way());
  rule.batch_done(contention, busy);
  EXPECT_EQ(rule.pause(), 250ms);
}

TEST(GiveWayTest, only_more_than_the_share_is_contention) {
  GiveWay rule({.waiting_share = 0.25});
  rule.batch_done({30ms, 10ms}, busy);
  EXPECT_FALSE(rule.gives_way());
  rule.batch_done({30ms, 11ms}, busy);
  EXPECT_TRUE(rule.gives_way());
}

TEST(GiveWayTest, a_short_batch_is_judged_as_though_it_had_wanted_the_least_time_that_is_judged) {
  GiveWay rule({.waiting_share = 0.2, .judged_time = 5ms});
  rule.batch_done({300us, 900us}, busy);  // wake-ups of a thread with little to do
  EXPECT_FALSE(rule.gives_way());
  rule.batch_done({2ms, 1'100us}, busy);
  EXPECT_TRUE(rule.gives_way());
}

TEST(GiveWayTest, there_is_nobody_to_give_way_to_while_nothing_is_appended) {
  GiveWay rule({});
  rule.batch_done(contention, {.appended = 0, .backlog = {}});
  EXPECT_FALSE(rule.gives_way());
  rule.batch_done(contention, busy);
  EXPECT_FALSE(rule.goes_on({.appended = 0, .backlog = {}}));
  EXPECT_FALSE(rule.gives_way());
}

TEST(GiveWayTest, a_journal_that_is_pressed_for_room_comes_before_intake) {
  GiveWay rule({.backlog_bytes_max = 1'000});
  const Intake large{.appended = 1, .backlog = {.bytes = 1'001}};
  const Intake blocked{.appended = 1, .backlog = {.bytes = 0, .blocked = true}};
  const Intake room{.appended = 1, .backlog = {.bytes = 1'000}};
  for (const Intake& pressed : {large, blocked}) {
    rule.batch_done(contention, pressed);
    EXPECT_FALSE(rule.gives_way());
    rule.batch_done(contention, room);
    EXPECT_TRUE(rule.gives_way());
    EXPECT_FALSE(rule.goes_on(pressed));
    EXPECT_FALSE(rule.gives_way());
  }
}

TEST(GiveWayTest, who_queries_does_not_wait_longer_than_a_burst_lasts) {
  GiveWay rule({.lag_max = 60s});
  const Intake late{.appended = 1, .backlog = {}, .lag = 60s + 1ns};
  const Intake soon{.appended = 1, .backlog = {}, .lag = 60s};
  rule.batch_done(contention, late);
  EXPECT_FALSE(rule.gives_way());
  rule.batch_done(contention, soon);
  EXPECT_TRUE(rule.gives_way());
  EXPECT_FALSE(rule.goes_on(late));
  EXPECT_FALSE(rule.gives_way());
}

TEST(GiveWayTest, a_sink_that_keeps_up_stays_close_behind) {
  GiveWay rule({.lag_max = 60s, .lag_in_pace = 1s});
  const Intake late{.appended = 1, .backlog = {}, .lag = 1s + 1ns, .sink_keeps_up = true};
  const Intake soon{.appended = 1, .backlog = {}, .lag = 1s, .sink_keeps_up = true};
  const Intake slower{.appended = 1, .backlog = {}, .lag = 1s + 1ns};
  rule.batch_done(contention, late);
  EXPECT_FALSE(rule.gives_way());
  for (const Intake& reason : {soon, slower}) {
    rule.batch_done(contention, reason);
    EXPECT_TRUE(rule.gives_way());
    EXPECT_FALSE(rule.goes_on(late));
    EXPECT_FALSE(rule.gives_way());
  }
}

TEST(GiveWayTest, a_cap_of_zero_is_off_and_one_below_the_first_pause_holds) {
  GiveWay off({.pause_max = 0ms});
  off.batch_done(contention, busy);
  EXPECT_FALSE(off.gives_way());
  GiveWay low({.pause_max = 100ms});
  low.batch_done(contention, busy);
  EXPECT_EQ(low.pause(), 100ms);
}

TEST(ProcessorTimeTest, a_line_of_schedstat_is_read) {
  auto time = parse_schedstat("2211313 77 3\n");
  ASSERT_TRUE(time);
  EXPECT_EQ(time->ran, 2'211'313ns);
  EXPECT_EQ(time->waited, 77ns);
}

TEST(ProcessorTimeTest, what_is_no_line_of_schedstat_is_refused) {
  for (std::string_view line : {"", "12", "12 ", "12 13", "a 1 2", "1 b 2", "-1 2 3", "1 -2 3",
                                "99999999999999999999 1 2", " 1 2 3"}) {
    EXPECT_FALSE(parse_schedstat(line)) << line;
  }
}

TEST(ProcessorTimeTest, the_clock_counts_what_its_own_thread_ran) {
  ProcessorClock clock;
  auto before = clock.read();
  if (!before) GTEST_SKIP() << "the kernel does not tell";
  volatile unsigned work = 0;
  auto now = before;
  while (now && now->ran - before->ran < 2ms) {
    for (int i = 0; i < 10'000; ++i) work = work + 1;
    now = clock.read();
  }
  ASSERT_TRUE(now);
  EXPECT_GE(now->waited, before->waited);
}

}  // namespace
}  // namespace trialwire::pipeline
