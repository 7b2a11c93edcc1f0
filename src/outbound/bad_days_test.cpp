// SPDX-License-Identifier: Apache-2.0
// A dependency that fails for a while, as its callers see it: the breaker opens within its window,
// callers fail at once meanwhile, and it closes by itself. The times are printed.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "outbound/test_target.hpp"

namespace trialwire::outbound {
namespace {

using namespace std::chrono_literals;
using resilience::BreakerKind;
using resilience::BreakerState;
using support::rough_answer;
using support::RoughHttp;
using support::RoughRequest;
using testing::Client;
using Clock = std::chrono::steady_clock;

constexpr auto window = 3s;  // the default is 10 s; the test is to be short
constexpr double window_ms = 3'000;

double ms_since(Clock::time_point began) {
  return std::chrono::duration<double, std::milli>(Clock::now() - began).count();
}

/// Calls until the breaker is open; milliseconds since the first.
double until_open(Client& client) {
  const auto began = Clock::now();
  while (client.guard().state() != BreakerState::open && ms_since(began) < 30'000) {
    static_cast<void>(client.target().call({}));
  }
  return ms_since(began);
}

/// How long refused calls take, in ms, sorted.
std::vector<double> refusals(Client& client, std::size_t count) {
  std::vector<double> took;
  const auto end = Clock::now() + 30s;
  while (took.size() < count && Clock::now() < end) {
    const double before = client.outcome("breaker_open");
    const auto began = Clock::now();
    auto result = client.target().call({});
    const double ms = ms_since(began);
    if (client.outcome("breaker_open") > before) took.push_back(ms);
  }
  std::ranges::sort(took);
  return took;
}

double until_closed(Client& client) {
  const auto began = Clock::now();
  while (client.guard().state() != BreakerState::closed && ms_since(began) < 60'000) {
    static_cast<void>(client.target().call({}));
    std::this_thread::sleep_for(1ms);
  }
  return ms_since(began);
}

void check_opens_refuses_and_closes(const char* what, Client& client, std::atomic<bool>& bad) {
  constexpr std::size_t count = 200;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client.target().call({}));
  EXPECT_EQ(client.guard().state(), BreakerState::closed);
  bad = true;
  const double opened = until_open(client);
  EXPECT_LT(opened, window_ms) << what;
  const auto took = refusals(client, count);
  ASSERT_EQ(took.size(), count) << what;
  bad = false;
  const double closed = until_closed(client);
  EXPECT_EQ(client.guard().state(), BreakerState::closed) << what;
  EXPECT_LT(closed, 20'000) << what;
  fmt::print(
      "{}: open after {:.0f} ms; refused in p50 {:.4f}, p90 {:.4f}, max {:.4f} ms; closed "
      "{:.0f} ms after it was well\n",
      what, opened, took[count / 2], took[count * 9 / 10], took.back(), closed);
  EXPECT_LT(took[count * 9 / 10], 1.0) << what;
  EXPECT_TRUE(client.target().call({})) << what;
}

struct BadDays : ::testing::TestWithParam<BreakerKind> {
  std::atomic<bool> bad{false};
  std::atomic<unsigned> asked{0};
  resilience::BreakerOptions breaker() const {
    return {.kind = GetParam(),
            .window = window,
            .probe_interval = 500ms,
            .calls_min = 6,
            .open_for = 500ms};
  }
};

TEST_P(BadDays, four_of_five_answers_are_errors) {
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    const bool error = bad && asked++ % 5 != 0;
    return peer.send(rough_answer(error ? 500 : 200, ""));
  });
  Client client(server.address(), {.retries = 0}, breaker());
  check_opens_refuses_and_closes("errors 80 %", client, bad);
}

TEST_P(BadDays, answers_come_thirty_seconds_late) {
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    if (bad && !peer.wait(30s)) return false;
    return peer.send(rough_answer(200, ""));
  });
  Client client(server.address(), {.deadline = 150ms}, breaker());
  check_opens_refuses_and_closes("30 s late", client, bad);
}

TEST_P(BadDays, nobody_listens) {
  RoughHttp server(
      [](auto& peer, const RoughRequest&) { return peer.send(rough_answer(200, "")); });
  Client client(server.address(), {}, breaker());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(client.target().call({}));
  server.stop();
  const double opened = until_open(client);
  const auto took = refusals(client, 200);
  ASSERT_EQ(took.size(), 200U);
  server.start();
  const double closed = until_closed(client);
  fmt::print(
      "nobody listens: open after {:.0f} ms; refused in p50 {:.4f}, p90 {:.4f}, max {:.4f} "
      "ms; closed {:.0f} ms after it was back\n",
      opened, took[100], took[180], took.back(), closed);
  EXPECT_LT(opened, window_ms);
  EXPECT_LT(took[180], 1.0);
  EXPECT_EQ(client.guard().state(), BreakerState::closed);
}

TEST_P(BadDays, bodies_are_endless_or_cut_off) {
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    if (!bad) return peer.send(rough_answer(200, ""));
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    if (asked++ % 2 == 0) return false;
    while (peer.send(std::string(10'000, 'x'))) {
    }
    return false;
  });
  Client client(server.address(), {.answer_bytes_max = 100'000, .retries = 0}, breaker());
  check_opens_refuses_and_closes("cut off, endless", client, bad);
}

INSTANTIATE_TEST_SUITE_P(Breakers, BadDays,
                         ::testing::Values(BreakerKind::adaptive, BreakerKind::ratio),
                         [](const auto& kind) {
                           return kind.param == BreakerKind::adaptive ? "adaptive" : "ratio";
                         });

}  // namespace
}  // namespace trialwire::outbound
