// SPDX-License-Identifier: Apache-2.0
#include "resilience/endpoint_choice.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "support/random.hpp"

namespace trialwire::resilience {
namespace {

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t second = 1'000 * ms;

EndpointState known(double latency_ns, std::uint32_t in_flight = 0) {
  return {.latency_ns = latency_ns, .in_flight = in_flight, .known = true};
}

class Endpoints {
 public:
  explicit Endpoints(std::vector<EndpointState> all) : all_(std::move(all)) {
    for (EndpointState& one : all_) pointers_.push_back(&one);
  }
  EndpointState& operator[](std::size_t i) { return all_[i]; }
  std::span<EndpointState* const> span() const { return pointers_; }

 private:
  std::vector<EndpointState> all_;
  std::vector<EndpointState*> pointers_;
};

TEST(EndpointChoice, load_is_the_root_of_latency_times_what_is_under_way) {
  struct Case {
    EndpointState endpoint;
    double load;
  };
  for (const Case& c : {Case{known(0), 1}, Case{known(999'999), 1'000},
                        Case{known(249'999, 2), 1'500}, Case{known(8, 9), 30},
                        Case{EndpointState{}, 1}, Case{{.in_flight = 1}, 2 * std::sqrt(1e9 + 1)}}) {
    EXPECT_DOUBLE_EQ(load_of(c.endpoint), c.load);
  }
}

TEST(EndpointChoice, takes_the_one_with_less_load_of_two) {
  Endpoints endpoints({known(1e6), known(0.25e6, 2)});
  for (std::size_t i : {0, 1}) endpoints[i].picked_ns = 5 * second;
  EXPECT_EQ(choose_of_two(endpoints.span(), 0, 1, 5 * second), 0U);
  EXPECT_EQ(choose_of_two(endpoints.span(), 1, 0, 5 * second), 0U);
  endpoints[1].in_flight = 0;
  EXPECT_EQ(choose_of_two(endpoints.span(), 0, 1, 5 * second), 1U);
}

TEST(EndpointChoice, takes_a_healthy_one_whatever_its_load) {
  Endpoints endpoints({known(1e9, 100), known(1)});
  for (std::size_t i : {0, 1}) endpoints[i].picked_ns = 5 * second;
  endpoints[1].success = 0.5;
  EXPECT_EQ(choose_of_two(endpoints.span(), 0, 1, 5 * second), 0U);
  EXPECT_EQ(choose_of_two(endpoints.span(), 1, 0, 5 * second), 0U);
  EXPECT_EQ(choose_of_two(endpoints.span(), 0, 1, 6 * second + 1), 1U) << "once a second";
}

TEST(EndpointChoice, asks_one_that_was_not_taken_for_a_second) {
  Endpoints endpoints({known(1e6), known(100e6)});
  endpoints[0].picked_ns = endpoints[1].picked_ns = 10 * second;
  EXPECT_EQ(choose_of_two(endpoints.span(), 0, 1, 11 * second), 0U) << "exactly a second";
  EXPECT_EQ(choose_of_two(endpoints.span(), 0, 1, 11 * second + 1), 1U);
  EXPECT_EQ(choose_of_two(endpoints.span(), 0, 1, 11 * second + 2), 0U) << "now it was";
}

TEST(EndpointChoice, draws_again_while_one_of_the_two_is_unhealthy) {
  Endpoints endpoints({known(1e6), known(1e6), known(1e6), known(1e6)});
  endpoints[0].success = 0.5;
  for (std::size_t i = 0; i < 4; ++i) endpoints[i].picked_ns = second;
  std::vector<std::size_t> drawn{0, 0, 0, 2, 2, 2};  // (0, 1), (0, 3), (2, 3)
  auto next = drawn.begin();
  EXPECT_EQ(choose(endpoints.span(), second, [&](std::size_t) { return *next++; }), 2U);
  EXPECT_EQ(next, drawn.end());
  drawn = {0, 0, 0, 0, 0, 0};
  next = drawn.begin();
  EXPECT_EQ(choose(endpoints.span(), second, [&](std::size_t) { return *next++; }), 1U)
      << "after three draws the healthy one of the last two";
  endpoints[1].success = 0.1;
  next = drawn.begin();
  EXPECT_EQ(choose(endpoints.span(), second, [&](std::size_t) { return *next++; }), 0U)
      << "or the one with less load, when neither is";
}

TEST(EndpointChoice, of_one_and_of_two_needs_no_chance) {
  auto none = [](std::size_t) -> std::size_t { throw std::logic_error("no chance"); };
  Endpoints one({known(1e9, 50)});
  EXPECT_EQ(choose(one.span(), 0, none), 0U);
  Endpoints two({known(4e6), known(1e6)});
  EXPECT_EQ(choose(two.span(), 0, none), 1U);
}

TEST(EndpointChoice, averages_forget_within_ten_seconds) {
  EndpointState endpoint;
  begin(endpoint);
  end(endpoint, 0, 8 * ms, true);
  EXPECT_DOUBLE_EQ(endpoint.latency_ns, 8e6) << "the first one is taken as it is";
  begin(endpoint);
  end(endpoint, 10 * second, 2 * ms, true);
  EXPECT_NEAR(endpoint.latency_ns, 8e6 / std::exp(1.0) + 2e6 * (1 - 1 / std::exp(1.0)), 1);
  begin(endpoint);
  end(endpoint, 10 * second, 900 * ms, true);
  EXPECT_NEAR(endpoint.latency_ns, 8e6 / std::exp(1.0) + 2e6 * (1 - 1 / std::exp(1.0)), 1)
      << "no time passed: nothing is learned";
  EXPECT_EQ(endpoint.in_flight, 0U);
}

TEST(EndpointChoice, failures_make_unhealthy_and_successes_heal) {
  EndpointState endpoint;
  EXPECT_TRUE(is_healthy(endpoint));
  begin(endpoint);
  end(endpoint, 0, ms, false);
  EXPECT_FALSE(is_healthy(endpoint)) << "its first call failed";
  std::int64_t now = 0;
  while (!is_healthy(endpoint)) {
    now += second;
    begin(endpoint);
    end(endpoint, now, ms, true);
    ASSERT_LT(now, 20 * second);
  }
  int failed = 0;
  for (; is_healthy(endpoint); ++failed) {
    now += second;
    begin(endpoint);
    end(endpoint, now, ms, false);
    ASSERT_LT(failed, 20);
  }
  EXPECT_GT(failed, 0);
}

TEST(EndpointChoice, what_is_cancelled_says_nothing) {
  EndpointState endpoint = known(1e6);
  begin(endpoint);
  withdraw(endpoint);
  EXPECT_EQ(endpoint.in_flight, 0U);
  EXPECT_EQ(endpoint.latency_ns, 1e6);
  EXPECT_EQ(endpoint.success, 1);
}

/// A simulated set of servers: what comes out must hold for each seed.
TEST(EndpointChoice, leaves_the_slow_alone_and_finds_them_again_when_they_are_fast) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    support::Random random(seed);
    Endpoints endpoints(std::vector<EndpointState>(5));
    std::vector<int> calls(5);
    struct Call {
      std::int64_t until_ns;
      std::int64_t began_ns;
      std::size_t endpoint;
    };
    std::vector<Call> under_way;
    constexpr std::int64_t slow_until = 30 * second;
    constexpr std::int64_t calm_from = 120 * second;  // its average has forgotten by then
    for (std::int64_t now = 0; now < 150 * second; now += 2 * ms) {
      std::erase_if(under_way, [&](const Call& call) {
        if (call.until_ns > now) return false;
        end(endpoints[call.endpoint], now, now - call.began_ns, true);
        return true;
      });
      const std::size_t chosen =
          choose(endpoints.span(), now, [&](std::size_t n) { return random.below(n); });
      begin(endpoints[chosen]);
      const std::int64_t takes = chosen == 0 && now < slow_until ? 400 * ms : 4 * ms;
      under_way.push_back({now + takes, now, chosen});
      if (now == slow_until) {
        EXPECT_LT(calls[0], 60) << "seed " << seed << ": a fair share would be 3,000";
        EXPECT_GE(calls[0], 20) << "seed " << seed << ": it is asked now and then";
      }
      if (now == calm_from) calls.assign(5, 0);
      ++calls[chosen];
    }
    // Of five that never vary it is the slowest still, by a hair: ties go against it.
    EXPECT_GT(calls[0], 1'000) << "seed " << seed << ": a third of a fair share";
  }
}

}  // namespace
}  // namespace trialwire::resilience
