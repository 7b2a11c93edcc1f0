// SPDX-License-Identifier: Apache-2.0
#include "net/route_breakers.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <initializer_list>
#include <new>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "net/response.hpp"
#include "net/server.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire::net {
namespace {

using namespace std::chrono_literals;
using resilience::BreakerKind;
using resilience::BreakerOptions;
using resilience::BreakerState;
using support::HttpClient;
using support::HttpServer;

struct Later final : DeferredAnswer {
  explicit Later(Status with) : status(with) {}
  void render(ResponseWriter& writer) override { writer.start(status).body("text/plain", "late"); }
  Status status;
};

/// Handlers that answer what the test says, at once or when it says so.
struct Routes {
  Routes() {
    auto at_once = [this](Exchange& e) {
      ++handled;
      e.respond(status.load(), "text/plain", "here");
    };
    auto later = [this](Exchange& e) {
      ++handled;
      if (e.request().query == "now") return e.respond(200, "text/plain", "here");
      waiting.push_back(&e.defer<Later>(status.load()));
    };
    auto throws = [](Exchange&) { throw std::bad_alloc(); };
    EXPECT_TRUE(router.add(Method::get, "/list", at_once));
    EXPECT_TRUE(router.add(Method::get, "/later", later));
    EXPECT_TRUE(router.add(Method::get, "/well", [](Exchange& e) { e.respond(200, "a/b", ""); }));
    EXPECT_TRUE(router.add(Method::get, "/health", at_once, {.kind = RouteKind::exempt}));
    EXPECT_TRUE(router.add(Method::post, "/intake", at_once, {.kind = RouteKind::intake}));
    EXPECT_TRUE(router.add(Method::post, "/intake/late", later, {.kind = RouteKind::intake}));
    EXPECT_TRUE(router.add(Method::post, "/throws", throws, {.kind = RouteKind::intake}));
  }
  void wait_for(HttpServer& server, std::size_t count) {
    for (bool there = false; !there;)
      support::on(server.shard(), [&] { there = waiting.size() >= count; });
  }
  void complete(HttpServer& server, std::size_t count) {
    wait_for(server, count);
    support::on(server.shard(), [&] {
      for (Later* answer : waiting) answer->complete();
      waiting.clear();
    });
  }
  Router router;
  std::atomic<Status> status{200};
  std::atomic<int> handled{0};
  std::vector<Later*> waiting;  // the shard's
};

BreakerOptions quick(BreakerKind kind = BreakerKind::adaptive) {
  return {.kind = kind, .window = 1s, .probe_interval = 20ms, .open_for = 50ms};
}

std::string request(const std::string& line, const std::string& headers = "") {
  return line + " HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n";
}
const std::string list = request("GET /list");

/// How many of so many requests, one after the other, are answered that.
int answered(HttpClient& client, const std::string& text, int count, int status) {
  int with = 0;
  for (int i = 0; i < count; ++i) {
    client.send(text);
    with += client.read().status == status ? 1 : 0;
  }
  return with;
}

BreakerState state_of(HttpServer& server, const std::string& route) {
  for (const RouteBreakerLook& one : server.server().route_breakers()) {
    if (one.route == route) return one.state;
  }
  return BreakerState::count_;
}

/// Until the route is served without a doubt again; false: not within ten seconds.
bool closes(HttpServer& server, HttpClient& client, const std::string& text,
            const std::string& route) {
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (std::chrono::steady_clock::now() < end) {
    client.send(text);
    if (client.read().status == 200 && state_of(server, route) == BreakerState::closed) return true;
  }
  return false;
}

class RouteBreaker : public testing::TestWithParam<BreakerKind> {};

TEST_P(RouteBreaker, refuses_what_fails_leaves_others_alone_and_closes_by_itself) {
  Routes routes;
  routes.status = 500;
  HttpServer server(routes.router, {.route_breakers = quick(GetParam())});
  HttpClient client(server.address());
  const int failed = answered(client, list, 200, 500);
  EXPECT_GE(failed, 6);
  EXPECT_LT(failed, 150);
  EXPECT_EQ(routes.handled, failed) << "who is refused is not handled";
  EXPECT_NE(state_of(server, "/list"), BreakerState::closed);
  EXPECT_EQ(server.metric("trialwire_route_breaker_refused_total{method=\"GET\",route=\"/list\","
                          "server=\"http\"}"),
            200 - failed);
  EXPECT_EQ(answered(client, request("GET /well"), 50, 200), 50);
  EXPECT_EQ(state_of(server, "/well"), BreakerState::closed);
  routes.status = 200;
  EXPECT_TRUE(closes(server, client, list, "/list"));
  EXPECT_EQ(answered(client, list, 50, 200), 50);
  EXPECT_EQ(server.metric("trialwire_route_breaker_state{method=\"GET\",route=\"/list\","
                          "server=\"http\",state=\"closed\"}"),
            1);
}
INSTANTIATE_TEST_SUITE_P(Both, RouteBreaker,
                         testing::Values(BreakerKind::adaptive, BreakerKind::ratio));

TEST(RouteBreakers, say_when_to_come_again) {
  Routes routes;
  routes.status = 500;
  HttpServer server(routes.router, {.route_breakers = quick()});
  HttpClient client(server.address());
  for (int i = 0; i < 1'000; ++i) {
    client.send(list);
    const auto answer = client.read();
    if (answer.status == 500) continue;
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(answer.header("Retry-After"), "1");
    EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
    EXPECT_EQ(answer.header("Connection"), "") << "the connection goes on";
    return;
  }
  FAIL() << "none was refused";
}

TEST(RouteBreakers, of_intake_open_for_a_handler_that_throws_and_for_nothing_that_it_says) {
  Routes routes;
  HttpServer server(routes.router, {.route_breakers = quick()});
  HttpClient client(server.address());
  const std::string intake = request("POST /intake", "Content-Length: 0\r\n");
  for (const Status status : std::initializer_list<Status>{503, 400, 409, 413, 429}) {
    routes.status = status;
    EXPECT_EQ(answered(client, intake, 100, status), 100);
  }
  EXPECT_EQ(routes.handled, 500) << "all of them were handled";
  EXPECT_EQ(state_of(server, "/intake"), BreakerState::closed);
  answered(client, request("POST /throws", "Content-Length: 0\r\n"), 100, 500);
  EXPECT_NE(state_of(server, "/throws"), BreakerState::closed);
  EXPECT_EQ(state_of(server, "/intake"), BreakerState::closed);
}

TEST(RouteBreakers, look_at_answers_that_come_later_too) {
  Routes routes;
  routes.status = 500;
  HttpServer server(routes.router, {.route_breakers = quick()});
  HttpClient client(server.address());
  std::string many;
  for (int i = 0; i < 40; ++i) many += request("GET /later");
  client.send(many);
  routes.complete(server, 40);
  for (const auto& answer : client.read_many(40)) EXPECT_EQ(answer.status, 500);
  EXPECT_NE(state_of(server, "/later"), BreakerState::closed);
}

/// Of ten requests that are over their deadline: how the breaker of that route is then.
BreakerState after_deadlines(const std::string& line, const std::string& headers,
                             const std::string& meanwhile = "") {
  Routes routes;
  HttpServer server(routes.router, {.request_deadline = 100ms, .route_breakers = quick()});
  HttpClient client(server.address());
  std::string many;
  for (int i = 0; i < 10; ++i) many += request(line, headers);
  client.send(many);
  routes.wait_for(server, 10);
  if (!meanwhile.empty()) {
    HttpClient other(server.address());
    EXPECT_EQ(answered(other, meanwhile, 1, 200), 1);
  }
  for (const auto& answer : client.read_many(10)) EXPECT_EQ(answer.status, 504);
  routes.complete(server, 10);
  return state_of(server, line.substr(line.find(' ') + 1));
}

TEST(RouteBreakers, take_a_deadline_that_nobody_met_for_a_failure) {
  EXPECT_NE(after_deadlines("GET /later", ""), BreakerState::closed);
}

TEST(RouteBreakers, take_a_deadline_for_nothing_where_others_were_answered_meanwhile) {
  EXPECT_EQ(after_deadlines("GET /later", "", request("GET /later?now")), BreakerState::closed);
}

TEST(RouteBreakers, take_the_deadline_of_a_client_that_hardly_waits_for_nothing) {
  EXPECT_EQ(after_deadlines("GET /later", "Request-Timeout: 0.02\r\n"), BreakerState::closed);
}

TEST(RouteBreakers, take_a_deadline_of_intake_for_nothing) {
  EXPECT_EQ(after_deadlines("POST /intake/late", "Content-Length: 0\r\n"), BreakerState::closed);
}

TEST(RouteBreakers, are_not_there_for_what_is_exempt_nor_where_there_are_none) {
  Routes routes;
  routes.status = 500;
  HttpServer server(routes.router, {.route_breakers = quick()});
  HttpClient client(server.address());
  EXPECT_EQ(answered(client, request("GET /health"), 200, 500), 200);
  EXPECT_EQ(state_of(server, "/health"), BreakerState::count_);
  HttpServer without(routes.router, {});
  HttpClient other(without.address());
  EXPECT_EQ(answered(other, list, 200, 500), 200);
  EXPECT_TRUE(without.server().route_breakers().empty());
}

TEST(RouteBreakers, are_one_over_all_shards) {
  Routes routes;
  HttpServer server(routes.router,
                    {.route_breakers = BreakerOptions{.kind = BreakerKind::ratio, .calls_min = 12}},
                    2);
  // Each connection lives on the shard that the kernel chose.
  std::vector<int> statuses;
  for (int i = 0; i < 14; ++i) {
    HttpClient client(server.address());
    client.send(request("POST /throws", "Content-Length: 0\r\n"));
    statuses.push_back(client.read().status);
  }
  EXPECT_EQ(std::ranges::count(statuses, 500), 12);
  EXPECT_EQ(std::ranges::count(statuses, 503), 2);
}

}  // namespace
}  // namespace trialwire::net
