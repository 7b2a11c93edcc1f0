// SPDX-License-Identifier: Apache-2.0
#include "net/route_limit.hpp"

#include <chrono>
#include <memory>
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
using support::HttpClient;
using support::HttpServer;

struct Later final : DeferredAnswer {
  void render(ResponseWriter& writer) override { writer.start(200).body("text/plain", "late"); }
};

/// A server whose paths have these limits, and what waits there.
struct Limited {
  explicit Limited(std::vector<RouteLimitOptions> limits, bool breakers = false) {
    auto at_once = [](Exchange& e) { e.respond(200, "text/plain", "here"); };
    auto later = [this](Exchange& e) { waiting.push_back(&e.defer<Later>()); };
    EXPECT_TRUE(router.add(Method::get, "/a", at_once));
    EXPECT_TRUE(router.add(Method::post, "/a", at_once, {.kind = RouteKind::intake}));
    EXPECT_TRUE(router.add(Method::get, "/a/b/:id", at_once));
    EXPECT_TRUE(router.add(Method::get, "/a/later", later));
    EXPECT_TRUE(router.add(Method::get, "/ab", at_once));
    EXPECT_TRUE(router.limit(limits));
    ServerOptions options;
    options.admission.routes = std::move(limits);
    if (breakers) options.route_breakers.emplace();
    server = std::make_unique<HttpServer>(router, options);
  }
  void wait_for(std::size_t count) {
    for (bool there = false; !there;)
      support::on(server->shard(), [&] { there = waiting.size() >= count; });
  }
  void complete() {
    support::on(server->shard(), [&] {
      for (Later* answer : waiting) answer->complete();
      waiting.clear();
    });
  }
  Router router;
  std::vector<Later*> waiting;  // the shard's
  std::unique_ptr<HttpServer> server;
};

std::string get(const std::string& path, const std::string& headers = "") {
  return "GET " + path + " HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n";
}

std::string post(const std::string& path, std::size_t bytes) {
  return "POST " + path + " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(bytes) +
         "\r\n\r\n" + std::string(bytes, 'x');
}

TEST(RouteLimits, are_of_the_longest_prefix_by_whole_segments) {
  Router router;
  auto nothing = [](Exchange&) {};
  for (const char* path : {"/a", "/a/b/:id", "/a/bc", "/ab", "/:any"}) {
    ASSERT_TRUE(router.add(Method::get, path, nothing, {.body_bytes_max = 7}));
  }
  ASSERT_TRUE(router.limit(std::vector<RouteLimitOptions>{
      {.prefix = "/a", .body_bytes_max = 10},
      {.prefix = "/", .deadline = 20ms},
      {.prefix = "/a/b", .deadline = 30ms, .body_bytes_max = 30},
  }));
  std::vector<int> numbers;
  std::vector<std::size_t> bodies;
  std::vector<std::uint32_t> deadlines;
  for (const auto& route : router.routes()) {
    numbers.push_back(route->options.limit);
    bodies.push_back(route->options.body_bytes_max);
    deadlines.push_back(route->options.deadline_ms);
  }
  EXPECT_THAT(numbers, testing::ElementsAre(1, 3, 1, 2, 2));
  EXPECT_THAT(bodies, testing::ElementsAre(10, 30, 10, 7, 7)) << "what is not limited stays";
  EXPECT_THAT(deadlines, testing::ElementsAre(0, 30, 0, 20, 20));
}

TEST(RouteLimits, name_a_prefix_that_no_route_has) {
  Router router;
  ASSERT_TRUE(router.add(Method::get, "/v1/vitals", [](Exchange&) {}));
  auto limited =
      router.limit(std::vector<RouteLimitOptions>{{.prefix = "/v1/vital"}, {.prefix = "/v1"}});
  ASSERT_FALSE(limited);
  EXPECT_EQ(limited.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(limited.error().text, "/v1/vital is the beginning of no route's path");
  EXPECT_EQ(router.routes()[0]->options.limit, 2) << "the others are in force";
}

TEST(RouteLimits, of_the_rate_are_of_one_address_on_all_these_routes) {
  Limited limited({{.prefix = "/a", .address = {.per_second = 1, .burst = 2}}});
  HttpClient client(limited.server->address());
  client.send(get("/a") + post("/a", 2) + get("/a/b/7") + get("/ab") + get("/nothing"));
  EXPECT_EQ(client.read().status, 200);
  auto second = client.read();
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.header("RateLimit"), "") << "it is said when it refuses";
  auto refused = client.read();
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(refused.header("RateLimit-Policy"), "\"route\";q=2;w=2");
  EXPECT_EQ(refused.header("RateLimit"), "\"route\";r=0;t=1");
  EXPECT_EQ(client.read().status, 200) << "/ab is not below /a";
  EXPECT_EQ(client.read().status, 404);
  HttpClient other(limited.server->address());
  other.send(get("/a"));
  EXPECT_EQ(other.read().status, 429) << "another connection, the same address";
  EXPECT_EQ(limited.server->metric("trialwire_admission_refused_total{reason=\"rate_route\","
                                   "server=\"http\"}"),
            2);
}

TEST(RouteLimits, of_what_is_under_way_hold_until_it_is_answered_or_its_work_ends) {
  Limited limited({{.prefix = "/a", .concurrent_max = 2}});
  constexpr const char* under_way =
      "trialwire_route_limit_in_flight{prefix=\"/a\",server=\"http\"}";
  HttpClient first(limited.server->address());
  {
    HttpClient gone(limited.server->address());
    first.send(get("/a/later"));
    gone.send(get("/a/later"));
    limited.wait_for(2);
    gone.reset();
  }
  HttpClient second(limited.server->address());
  second.send(get("/a") + post("/a", 2) + get("/ab"));
  auto answers = second.read_many(3);
  EXPECT_EQ(answers[0].status, 503);
  EXPECT_EQ(answers[0].header("Retry-After"), "1");
  EXPECT_EQ(answers[1].status, 503) << "intake, too: it is asked for";
  EXPECT_EQ(answers[2].status, 200);
  EXPECT_EQ(limited.server->metric(under_way), 2);
  limited.complete();
  EXPECT_EQ(first.read().status, 200);
  second.send(get("/a"));
  EXPECT_EQ(second.read().status, 200);
  EXPECT_EQ(limited.server->metric(under_way), 0);
}

TEST(RouteLimits, of_time_answer_504_in_its_place_and_the_connection_goes_on) {
  Limited limited({{.prefix = "/a/later", .deadline = 60ms}}, true);
  HttpClient client(limited.server->address());
  const auto begin = std::chrono::steady_clock::now();
  client.send(get("/a/later") + get("/ab"));
  auto answers = client.read_many(2);
  EXPECT_EQ(answers[0].status, 504);
  EXPECT_EQ(answers[0].header("Connection"), "");
  EXPECT_EQ(answers[1].status, 200);
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GE(took, 55ms);
  EXPECT_LT(took, 4s) << "the server's is 5 s";
  client.send(get("/a/later", "Request-Timeout: 0.01\r\n"));
  EXPECT_EQ(client.read().status, 504) << "the client's, where it is the earlier one";
  limited.complete();
  // The route's own deadline is a failure of the route, as the server's is.
  std::string many;
  for (int i = 0; i < 40; ++i) many += get("/a/later");
  client.send(many);
  for (const auto& answer : client.read_many(40)) EXPECT_EQ(answer.status, 504);
  limited.complete();
  for (const RouteBreakerLook& one : limited.server->server().route_breakers()) {
    EXPECT_EQ(one.state != resilience::BreakerState::closed, one.route == "/a/later") << one.route;
  }
}

TEST(RouteLimits, of_bodies_are_413) {
  Limited limited({{.prefix = "/a", .body_bytes_max = 1'024}});
  HttpClient client(limited.server->address());
  client.send(post("/a", 1'024));
  EXPECT_EQ(client.read().status, 200);
  client.send(post("/a", 1'025));
  EXPECT_EQ(client.read().status, 413);
}

}  // namespace
}  // namespace trialwire::net
