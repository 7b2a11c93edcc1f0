// SPDX-License-Identifier: Apache-2.0
#include "resilience/shedder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "resilience/cpu_load.hpp"
#include "support/random.hpp"

namespace trialwire::resilience {
namespace {

constexpr std::int64_t ms = 1'000'000;
constexpr double calm = 0;

void admit(Shedder& shedder, int count, std::int64_t now_ns) {
  for (int i = 0; i < count; ++i) ASSERT_TRUE(shedder.admit(now_ns, calm));
}
void finish(Shedder& shedder, int count, std::int64_t now_ns, std::int64_t took_ns) {
  for (int i = 0; i < count; ++i) shedder.finished(now_ns, took_ns);
}

TEST(Shedder, factor_is_what_is_left_of_the_processors) {
  struct Case {
    double cpu;
    double threshold;
    double factor;
  };
  for (const Case& c :
       {Case{0, 900, 1}, Case{900, 900, 1}, Case{950, 900, 0.5}, Case{980, 900, 0.2},
        Case{990, 900, 0.1}, Case{1000, 900, 0.1}, Case{600, 500, 0.8}, Case{1000, 1000, 1}}) {
    EXPECT_DOUBLE_EQ(Shedder::factor(c.cpu, c.threshold), c.factor) << c.cpu;
  }
}

TEST(Shedder, max_flight_is_the_best_throughput_times_the_fastest_round_trip) {
  Shedder shedder({});
  EXPECT_DOUBLE_EQ(shedder.max_flight(0), 10) << "nothing known: 1 · 1 s · 10";
  admit(shedder, 60, 0);
  finish(shedder, 20, 10 * ms, 50 * ms);
  EXPECT_DOUBLE_EQ(shedder.max_flight(99 * ms), 10) << "the bucket that lasts is not looked at";
  EXPECT_DOUBLE_EQ(shedder.max_flight(100 * ms), 10) << "20 · 0.05 · 10";
  finish(shedder, 30, 150 * ms, 80 * ms);
  EXPECT_DOUBLE_EQ(shedder.max_flight(200 * ms), 15) << "30 · 0.05 · 10";
  finish(shedder, 1, 250 * ms, 200'000);
  EXPECT_DOUBLE_EQ(shedder.max_flight(300 * ms), 1) << "30 · 0.0002 · 10 is under 1";
  EXPECT_DOUBLE_EQ(shedder.max_flight(5'149 * ms), 1) << "49 buckets are looked at";
  EXPECT_DOUBLE_EQ(shedder.max_flight(5'199 * ms), 1);
  EXPECT_DOUBLE_EQ(shedder.max_flight(5'200 * ms), 10) << "all of it is too old";
}

TEST(Shedder, keeps_fast_round_trips_apart_that_milliseconds_would_make_equal) {
  Shedder shedder({});
  admit(shedder, 40'000, 0);
  finish(shedder, 40'000, 0, 30'000);  // 30 µs
  EXPECT_DOUBLE_EQ(shedder.max_flight(100 * ms), 12) << "40,000 · 30 µs · 10; with 1 ms: 400";
}

TEST(Shedder, sheds_only_when_loaded_and_more_is_under_way_than_can_be) {
  Shedder shedder({.cpu_threshold = 900});
  admit(shedder, 30, 0);
  finish(shedder, 20, 0, 50 * ms);  // 10 under way, of an average of 14.26
  EXPECT_NEAR(shedder.average_flying(), 14.2585, 1e-4);
  EXPECT_TRUE(shedder.admit(100 * ms, 899)) << "not loaded";
  EXPECT_EQ(shedder.flying(), 11);
  EXPECT_FALSE(shedder.admit(100 * ms, 900)) << "11 > 10 · 1";
  EXPECT_EQ(shedder.flying(), 11) << "what is shed is not under way";
  finish(shedder, 6, 100 * ms, 50 * ms);
  EXPECT_TRUE(shedder.admit(100 * ms, 950)) << "5 is not more than 10 · 0.5";
  EXPECT_FALSE(shedder.admit(100 * ms, 950)) << "6 is";
}

TEST(Shedder, lets_in_as_many_as_can_be_worked_on_whatever_the_load) {
  for (const std::uint32_t flight_min : {1U, 3U}) {
    SCOPED_TRACE(flight_min);
    Shedder shedder({.cpu_threshold = 900, .flight_min = flight_min});
    admit(shedder, 40, 0);
    finish(shedder, 40, 0, 200'000);  // 40 · 0.0002 · 10 is under 1, and a tenth of that is left
    admit(shedder, 20, 0);            // what was let in while nothing was loaded
    for (int i = 0; i < 20; ++i) shedder.left();
    std::uint32_t in = 0;
    while (shedder.admit(100 * ms, 1'000)) ASSERT_LT(++in, 10U);
    EXPECT_EQ(in, flight_min);
  }
}

TEST(Shedder, stays_alert_for_a_second_after_it_shed) {
  Shedder shedder({.cpu_threshold = 900});
  admit(shedder, 40, 0);
  finish(shedder, 20, 0, 50 * ms);
  EXPECT_FALSE(shedder.admit(100 * ms, 950));
  EXPECT_FALSE(shedder.admit(1'099 * ms, calm)) << "999 ms later, 20 > 10";
  EXPECT_FALSE(shedder.admit(2'098 * ms, calm)) << "999 ms after that one";
  EXPECT_TRUE(shedder.admit(3'098 * ms, calm)) << "a second later";
}

TEST(Shedder, wants_both_the_moment_and_the_average_to_be_too_high) {
  Shedder shedder({.cpu_threshold = 900});
  admit(shedder, 1, 0);
  finish(shedder, 1, 0, 50 * ms);
  admit(shedder, 100, 100 * ms);  // a burst: the average has not followed
  EXPECT_DOUBLE_EQ(shedder.average_flying(), 0);
  EXPECT_TRUE(shedder.admit(100 * ms, 1000));
}

TEST(Shedder, a_threshold_of_all_processors_is_off) {
  Shedder shedder({.cpu_threshold = 1000});
  admit(shedder, 1'000, 0);
  finish(shedder, 500, 0, ms);
  EXPECT_TRUE(shedder.admit(100 * ms, 1000));
}

TEST(Shedder, what_failed_or_left_is_no_answer) {
  Shedder shedder({});
  admit(shedder, 50, 0);
  for (int i = 0; i < 50; ++i) shedder.left();
  EXPECT_EQ(shedder.flying(), 0);
  EXPECT_DOUBLE_EQ(shedder.max_flight(100 * ms), 10) << "as with nothing known";
}

// A server with two workers and a fixed service time, under three times what it can do: the queue
// stays bounded, and what it does is nearly all that it can.
TEST(Shedder, keeps_a_server_at_its_capacity_under_three_times_the_load) {
  constexpr int workers = 2;
  constexpr std::int64_t service = 10 * ms;  // 200 a second
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(seed);
    support::Random random(seed);
    Shedder shedder({.cpu_threshold = 900});
    std::deque<std::int64_t> queue;                          // of arrivals
    std::deque<std::pair<std::int64_t, std::int64_t>> busy;  // until, arrived
    std::int64_t arrival = 0;
    int answered = 0;
    int refused = 0;
    std::int64_t longest = 0;
    for (std::int64_t now = 0; now < 30'000 * ms; now += ms / 2) {
      while (!busy.empty() && busy.front().first <= now) {
        const std::int64_t took = now - busy.front().second;
        shedder.finished(now, took);
        if (now > 10'000 * ms) {
          ++answered;
          longest = std::max(longest, took);
        }
        busy.pop_front();
      }
      for (; arrival <= now; arrival += static_cast<std::int64_t>(random.below(3'333'333))) {
        const double cpu = busy.size() == workers ? 1000 : 500;
        if (shedder.admit(now, cpu)) {
          queue.push_back(now);
        } else if (now > 10'000 * ms) {
          ++refused;
        }
      }
      while (busy.size() < workers && !queue.empty()) {
        busy.emplace_back(now + service, queue.front());
        queue.pop_front();
      }
    }
    EXPECT_GE(answered, 0.9 * 200 * 20);
    EXPECT_GT(refused, 200 * 20);
    EXPECT_LE(longest, 1'000 * ms);
  }
}

TEST(CpuLoad, counts_a_twentieth_of_each_sample) {
  CpuLoad load;
  load.sample({.used = 500, .available = 1'000});
  EXPECT_DOUBLE_EQ(load.per_mille(), 0) << "the first one only begins";
  load.sample({.used = 540, .available = 1'100});
  EXPECT_NEAR(load.per_mille(), 20, 1e-9) << "0.05 · 400";
  load.sample({.used = 640, .available = 1'200});
  EXPECT_NEAR(load.per_mille(), 69, 1e-9) << "0.95 · 20 + 0.05 · 1000";
  load.sample({.used = 640, .available = 1'300});
  EXPECT_NEAR(load.per_mille(), 65.55, 1e-9);
}

TEST(CpuLoad, bears_counters_that_stand_still_go_back_or_run_ahead) {
  CpuLoad load;
  load.sample({.used = 0, .available = 100});
  load.sample({.used = 900, .available = 200});
  EXPECT_NEAR(load.per_mille(), 50, 1e-9) << "at most 1000 of a sample";
  load.sample({.used = 900, .available = 200});
  load.sample({.used = 10, .available = 20});
  EXPECT_NEAR(load.per_mille(), 50, 1e-9) << "begun anew";
  load.sample({.used = 10, .available = 120});
  EXPECT_NEAR(load.per_mille(), 47.5, 1e-9);
}

}  // namespace
}  // namespace trialwire::resilience
