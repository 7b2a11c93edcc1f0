// SPDX-License-Identifier: Apache-2.0
// Rates, concurrency and shedding as a client sees them.
#include <atomic>
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

struct Routes {
  Routes() {
    auto at_once = [](Exchange& e) { e.respond(200, "text/plain", "here"); };
    auto later = [this](Exchange& e) { waiting.push_back(&e.defer<Later>()); };
    EXPECT_TRUE(router.add(Method::post, "/intake", at_once, {.kind = RouteKind::intake}));
    EXPECT_TRUE(router.add(Method::get, "/list", at_once));
    EXPECT_TRUE(router.add(Method::get, "/later", later));
    EXPECT_TRUE(router.add(Method::get, "/health", at_once, {.kind = RouteKind::exempt}));
  }
  void wait_for(HttpServer& server, std::size_t count) {
    for (bool there = false; !there;)
      support::on(server.shard(), [&] { there = waiting.size() >= count; });
  }
  void complete(HttpServer& server) {
    support::on(server.shard(), [&] {
      for (Later* answer : waiting) answer->complete();
      waiting.clear();
    });
  }
  Router router;
  std::vector<Later*> waiting;  // the shard's
};

std::string get(const std::string& path) {
  return "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n";
}
constexpr std::string_view post = "POST /intake HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";

constexpr const char* in_flight = "trialwire_admission_in_flight{server=\"http\"}";

TEST(ServerAdmission, answers_429_with_what_the_client_needs_to_know) {
  Routes routes;
  HttpServer server(routes.router, {.admission = {.address = {.per_second = 1, .burst = 2}}});
  HttpClient client(server.address());
  client.send(std::string(post) + get("/list") + get("/nothing") + std::string(post));
  auto first = client.read();
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(first.header("RateLimit-Policy"), "\"address\";q=2;w=2");
  EXPECT_EQ(first.header("RateLimit"), "\"address\";r=1;t=1");
  EXPECT_EQ(client.read().header("RateLimit"), "\"address\";r=0;t=1");
  for (int i = 0; i < 2; ++i) {
    auto refused = client.read();
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.header("Retry-After"), "1");
    EXPECT_EQ(refused.header("RateLimit"), "\"address\";r=0;t=1");
    EXPECT_EQ(refused.header("Content-Type"), "application/problem+json");
    EXPECT_EQ(refused.header("Connection"), "");
  }
  HttpClient other(server.address());
  other.send(post);
  EXPECT_EQ(other.read().status, 429) << "another connection, the same address";
  EXPECT_EQ(server.metric("trialwire_admission_refused_total{reason=\"rate_address\","
                          "server=\"http\"}"),
            3);
}

TEST(ServerAdmission, an_answer_that_comes_later_has_the_rate_of_its_request) {
  Routes routes;
  HttpServer server(routes.router, {.admission = {.address = {.per_second = 1, .burst = 5}}});
  HttpClient client(server.address());
  client.send(get("/later") + get("/list"));
  routes.wait_for(server, 1);
  routes.complete(server);
  auto answers = client.read_many(2);
  EXPECT_EQ(answers[0].body, "late");
  EXPECT_EQ(answers[0].header("RateLimit"), "\"address\";r=4;t=1");
  EXPECT_EQ(answers[1].header("RateLimit"), "\"address\";r=3;t=2");
}

TEST(ServerAdmission, limits_requests_under_way_until_they_are_answered) {
  Routes routes;
  HttpServer server(routes.router, {.admission = {.concurrent_max = 2}});
  HttpClient first(server.address());
  first.send(get("/later") + get("/later") + get("/later"));
  routes.wait_for(server, 2);
  EXPECT_EQ(server.metric(in_flight), 2);
  HttpClient second(server.address());
  second.send(get("/list") + std::string(post) + get("/health"));
  auto answers = second.read_many(3);
  EXPECT_EQ(answers[0].status, 503);
  EXPECT_EQ(answers[0].header("Retry-After"), "1");
  EXPECT_EQ(answers[1].status, 200) << "intake";
  EXPECT_EQ(answers[2].status, 200);
  routes.complete(server);
  auto late = first.read_many(3);
  EXPECT_EQ(late[0].status, 200);
  EXPECT_EQ(late[1].status, 200);
  EXPECT_EQ(late[2].status, 503) << "in order, behind those it was refused for";
  second.send(get("/list"));
  EXPECT_EQ(second.read().status, 200);
  EXPECT_EQ(server.metric(in_flight), 0);
}

TEST(ServerAdmission, a_request_whose_client_has_gone_is_under_way_until_its_work_ends) {
  Routes routes;
  HttpServer server(routes.router, {.admission = {.concurrent_max = 1}});
  {
    HttpClient client(server.address());
    client.send(get("/later"));
    routes.wait_for(server, 1);
    client.reset();
  }
  server.wait_until_unconnected();
  HttpClient client(server.address());
  client.send(get("/list"));
  EXPECT_EQ(client.read().status, 503);
  routes.complete(server);
  client.send(get("/list"));
  EXPECT_EQ(client.read().status, 200);
}

TEST(ServerAdmission, a_request_over_its_deadline_is_under_way_until_its_work_ends) {
  Routes routes;
  HttpServer server(routes.router, {.request_deadline = 50ms, .admission = {.concurrent_max = 1}});
  HttpClient late(server.address());
  late.send(get("/later"));
  EXPECT_EQ(late.read().status, 504);
  HttpClient client(server.address());
  client.send(get("/list"));
  EXPECT_EQ(client.read().status, 503);
  routes.complete(server);
  client.send(get("/list"));
  EXPECT_EQ(client.read().status, 200);
  EXPECT_EQ(server.metric(in_flight), 0);
}

TEST(ServerAdmission, refuses_intake_alone_while_its_commits_do_not_come) {
  Routes routes;
  std::atomic<std::int64_t> age{0};
  HttpServer server(routes.router,
                    {.admission = {.commit_age_max = 100ms,
                                   .commit_age_ns = [&](unsigned, auto) { return age.load(); }}});
  HttpClient client(server.address());
  client.send(post);
  EXPECT_EQ(client.read().status, 200);
  age = 200'000'000;
  client.send(std::string(post) + get("/list"));
  auto answers = client.read_many(2);
  EXPECT_EQ(answers[0].status, 503);
  EXPECT_EQ(answers[0].header("Retry-After"), "1");
  EXPECT_EQ(answers[1].status, 200);
  age = 0;
  client.send(post);
  EXPECT_EQ(client.read().status, 200);
}

}  // namespace
}  // namespace trialwire::net
