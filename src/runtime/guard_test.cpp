// SPDX-License-Identifier: Apache-2.0
#include "runtime/guard.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <optional>
#include <thread>
#include <vector>

#include "telemetry/metrics.hpp"

namespace trialwire::runtime {
namespace {

using resilience::BreakerKind;
using resilience::BreakerState;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

TEST(Guard, refuses_after_failures_and_says_so_in_its_metrics) {
  telemetry::Registry metrics;
  Guard guard("postgres", {.kind = BreakerKind::ratio, .calls_min = 3, .open_for = 1h}, metrics);
  const Error down{ErrorCode::unavailable, "refused"};
  for (int i = 0; i < 3; ++i) {
    auto call = guard.begin();
    ASSERT_TRUE(call);
    call.judge(&down);
  }
  EXPECT_FALSE(guard.begin());
  EXPECT_EQ(guard.state(), BreakerState::open);
  const std::string page = metrics.text();
  EXPECT_THAT(page, HasSubstr(R"(trialwire_breaker_state{dependency="postgres",state="open"} 1)"));
  EXPECT_THAT(page,
              HasSubstr(R"(trialwire_breaker_state{dependency="postgres",state="closed"} 0)"));
  EXPECT_THAT(
      page,
      HasSubstr(R"(trialwire_breaker_calls_total{dependency="postgres",outcome="failed"} 3)"));
  EXPECT_THAT(
      page,
      HasSubstr(R"(trialwire_breaker_calls_total{dependency="postgres",outcome="refused"} 1)"));
}

TEST(Guard, is_not_opened_by_what_says_nothing_of_the_dependency) {
  telemetry::Registry metrics;
  Guard guard("postgres", {.kind = BreakerKind::ratio, .calls_min = 1, .open_for = 1h}, metrics);
  for (ErrorCode code : {ErrorCode::cancelled, ErrorCode::overloaded, ErrorCode::invalid_argument,
                         ErrorCode::conflict, ErrorCode::payload_too_large}) {
    const Error error{code, ""};
    auto call = guard.begin();
    ASSERT_TRUE(call) << traits(code).label;
    call.judge(&error);
  }
  {
    auto dropped = guard.begin();
  }
  EXPECT_EQ(guard.state(), BreakerState::closed);
}

TEST(Guard, closes_again_by_one_probe_that_succeeds) {
  telemetry::Registry metrics;
  Guard guard("kafka", {.kind = BreakerKind::ratio, .calls_min = 1, .open_for = 1ms}, metrics);
  guard.begin().failed();
  std::optional<Guard::Call> probe;
  while (!probe) {
    auto call = guard.begin();
    if (call) probe.emplace(std::move(call));
  }
  EXPECT_EQ(guard.state(), BreakerState::half_open);
  probe->succeeded();
  EXPECT_EQ(guard.state(), BreakerState::closed);
}

TEST(Guard, may_be_used_by_many_threads_and_outlived_by_its_calls) {
  telemetry::Registry metrics;
  auto guard = std::make_unique<Guard>("many", resilience::BreakerOptions{}, metrics);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&guard, t] {
      for (int i = 0; i < 2'000; ++i) {
        auto call = guard->begin();
        if (!call) continue;
        (i + t) % 2 == 0 ? call.succeeded() : call.failed();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  auto late = guard->begin();
  guard.reset();
  late.failed();
  EXPECT_THAT(metrics.text(), HasSubstr("trialwire_breaker_calls_total"));
}

}  // namespace
}  // namespace trialwire::runtime
