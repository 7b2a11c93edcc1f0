// SPDX-License-Identifier: Apache-2.0
// The server's limits, time limits, overload and end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "net/response.hpp"
#include "net/server.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire::net {
namespace {

using namespace std::chrono_literals;
using support::HttpAnswer;
using support::HttpClient;
using support::HttpServer;

struct Later final : DeferredAnswer {
  Later(std::string_view answer_text, bool can_take_back)
      : text(answer_text), taken_back(can_take_back) {}
  void render(ResponseWriter& writer) override { writer.start(200).body("text/plain", text); }
  bool abandon() noexcept override { return taken_back; }
  std::string text;
  bool taken_back;
};

struct Routes {
  Routes() {
    auto add = [&](Method method, std::string_view path, Handler handler,
                   RouteOptions options = {}) {
      ASSERT_TRUE(router.add(method, path, std::move(handler), options));
    };
    add(Method::post, "/echo", [](Exchange& e) { e.respond(200, "text/plain", e.request().body); });
    add(Method::post, "/small", [](Exchange& e) { e.respond(200, "text/plain", e.request().body); },
        {.body_bytes_max = 10});
    add(Method::post, "/large",
        [](Exchange& e) { e.respond(200, "text/plain", std::to_string(e.request().body.size())); },
        {.body_bytes_max = 8 << 20});
    add(Method::get, "/big", [this](Exchange& e) { e.respond(200, "text/plain", big); });
    add(Method::post, "/later",
        [this](Exchange& e) { waiting.push_back(&e.defer<Later>(e.request().body, false)); });
    add(Method::post, "/never", [](Exchange& e) { e.defer<Later>(e.request().body, true); });
  }
  void wait_for(HttpServer& server, std::size_t count) {
    for (bool there = false; !there;)
      support::on(server.shard(), [&] { there = waiting.size() >= count; });
  }
  void complete(HttpServer& server) {
    support::on(server.shard(), [&] {
      for (Later* later : waiting) later->complete();
      waiting.clear();
    });
  }
  Router router;
  std::vector<Later*> waiting;  // the shard's
  std::string big = std::string(4 << 20, 'b');
};

std::string post(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

TEST(ServerLimits, every_limit_is_a_metric) {
  Routes routes;
  HttpServer server(routes.router, {.name = "clients",
                                    .connections_max = 11,
                                    .head_bytes_max = 2048,
                                    .request_line_bytes_max = 1024,
                                    .body_bytes_max = 13,
                                    .header_timeout = 1500ms,
                                    .body_timeout = 2500ms,
                                    .idle_timeout = 3500ms,
                                    .request_deadline = 4500ms,
                                    .write_timeout = 5500ms,
                                    .linger_timeout = 250ms,
                                    .linger_bytes_max = 17,
                                    .body_progress_bytes = 19,
                                    .connection_unacknowledged_bytes_max = 23,
                                    .pipelined_max = 29,
                                    .shard_partial_bytes_max = 31,
                                    .overload_wait = 750ms});
  for (const auto& [name, value] : std::initializer_list<std::pair<std::string_view, double>>{
           {"connections", 11}, {"body_bytes", 13}, {"partial_bytes", 31}}) {
    EXPECT_EQ(server.metric(fmt::format("trialwire_http_{}_max{{server=\"clients\"}}", name)),
              value);
  }
  for (const auto& [name, value] : std::initializer_list<std::pair<std::string_view, double>>{
           {"request_line_bytes", 1024},
           {"request_head_bytes", 2048},
           {"body_progress_bytes", 19},
           {"pipelined_requests", 29},
           {"unacknowledged_bytes", 23},
           {"linger_bytes", 17},
           {"header_seconds", 1.5},
           {"body_seconds", 2.5},
           {"idle_seconds", 3.5},
           {"request_seconds", 4.5},
           {"write_seconds", 5.5},
           {"linger_seconds", 0.25},
           {"overload_wait_seconds", 0.75}}) {
    EXPECT_EQ(
        server.metric(fmt::format("trialwire_http_limit{{limit=\"{}\",server=\"clients\"}}", name)),
        value)
        << name;
  }
}

TEST(ServerLimits, a_head_that_does_not_end_in_time_is_408) {
  Routes routes;
  HttpServer server(routes.router, {.header_timeout = 100ms});
  for (std::string begun : {"POST", "POST /echo HTTP/1.1\r\nHost: a\r\n"}) {
    HttpClient client(server.address());
    client.send(begun);
    HttpAnswer answer = client.read();
    EXPECT_EQ(answer.status, 408);
    EXPECT_EQ(answer.header("Connection"), "close");
    EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
  }
  EXPECT_EQ(server.metric("trialwire_http_timeouts_total{kind=\"header\",server=\"http\"}"), 2);
}

TEST(ServerLimits, a_head_that_trickles_does_not_win_time) {
  Routes routes;
  HttpServer server(routes.router, {.header_timeout = 200ms});
  HttpClient client(server.address());
  std::atomic<bool> stop{false};
  std::thread sender([&] {
    client.send("POST /echo HTTP/1.1\r\n");
    while (!stop) {
      client.send("X: y\r\n");
      std::this_thread::sleep_for(50ms);  // what a slow sender does
    }
  });
  EXPECT_EQ(client.read().status, 408);
  stop = true;
  sender.join();
}

TEST(ServerLimits, a_body_that_does_not_come_in_time_is_408) {
  Routes routes;
  HttpServer server(routes.router, {.body_timeout = 100ms});
  for (std::string begun :
       {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"}) {
    HttpClient client(server.address());
    client.send(begun);
    EXPECT_EQ(client.read().status, 408);
  }
}

TEST(ServerLimits, an_idle_connection_is_closed_silently) {
  Routes routes;
  HttpServer server(routes.router, {.header_timeout = 100ms, .idle_timeout = 100ms});
  for (std::string sent : {std::string(), std::string("\r\n"), post("/echo", "x")}) {
    HttpClient client(server.address());
    client.send(sent);
    if (sent.size() > 2) {
      EXPECT_EQ(client.read().status, 200);
    }
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_TRUE(client.closed());
  }
}

TEST(ServerLimits, after_the_deadline_what_is_missing_is_504_and_what_is_there_is_sent) {
  Routes routes;
  HttpServer server(routes.router, {.request_deadline = 100ms});
  HttpClient client(server.address());
  client.send(post("/echo", "there") + post("/later", "late") + post("/never", "x"));
  EXPECT_EQ(client.read().body, "there");
  HttpAnswer late = client.read();
  EXPECT_EQ(late.status, 504);
  HttpAnswer never = client.read();
  EXPECT_EQ(never.status, 504);
  EXPECT_EQ(never.header("Connection"), "close");
  EXPECT_EQ(late.header("Connection"), "");
  client.end_sending();
  EXPECT_EQ(client.read_to_end(), "");
  server.wait_until_unconnected();
  routes.complete(server);  // of the orphan: must not be sent anywhere
}

std::string post_within(std::string_view path, std::string_view timeout) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nRequest-Timeout: " + std::string(timeout) +
         "\r\n\r\n";
}

TEST(ServerLimits, a_client_says_how_long_it_waits_for_each_request) {
  Routes routes;
  HttpServer server(routes.router, {.request_deadline = 1h});
  HttpClient client(server.address());
  client.send(post_within("/never", "0.05"));
  HttpAnswer late = client.read();
  EXPECT_EQ(late.status, 504);
  EXPECT_EQ(late.header("Connection"), "");
  client.send(post("/echo", "goes on"));
  EXPECT_EQ(client.read().body, "goes on");
  // What was sent with it has its own time, or the server's.
  client.send(post("/later", "slow") + post_within("/never", "0.05") + post_within("/later", "60"));
  routes.wait_for(server, 2);
  for (bool given_up = false; !given_up;) {
    given_up =
        server.metric("trialwire_http_timeouts_total{kind=\"deadline\",server=\"http\"}") >= 2;
  }
  routes.complete(server);
  EXPECT_EQ(client.read().body, "slow");
  EXPECT_EQ(client.read().status, 504);
  EXPECT_EQ(client.read().status, 200);
}

TEST(ServerLimits, the_servers_deadline_comes_first_when_it_is_earlier) {
  Routes routes;
  HttpServer server(routes.router, {.request_deadline = 100ms});
  HttpClient client(server.address());
  client.send(post_within("/never", "0.02") + post_within("/never", "3600"));
  EXPECT_EQ(client.read().status, 504);
  HttpAnswer last = client.read();
  EXPECT_EQ(last.status, 504);
  EXPECT_EQ(last.header("Connection"), "close");
}

TEST(ServerLimits, a_time_that_is_none_is_refused) {
  Routes routes;
  HttpServer server(routes.router, {});
  HttpClient client(server.address());
  for (std::string_view text :
       {"", "0", "soon", "-1", "1s", "1.", ".5", "0.000", "1e3", "1.0001"}) {
    client.send(post_within("/echo", text));
    HttpAnswer answer = client.read();
    EXPECT_EQ(answer.status, 400) << text;
    EXPECT_TRUE(answer.body.contains("Request-Timeout is not seconds")) << answer.body;
  }
  client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nRequest-Timeout: 1\r\n"
      "request-timeout: 1\r\n\r\n");
  EXPECT_EQ(client.read().status, 400) << "twice";
  client.send(post_within("/echo", "99999999999999999999"));
  EXPECT_EQ(client.read().status, 200);
}

TEST(ServerLimits, what_a_client_did_not_wait_for_is_counted_as_499) {
  Routes routes;
  HttpServer server(routes.router, {});
  HttpClient client(server.address());
  client.send(post("/later", "x") + post("/later", "y"));
  routes.wait_for(server, 2);
  client.reset();
  server.wait_until_unconnected();
  EXPECT_EQ(server.metric("trialwire_http_requests_total{method=\"POST\",route=\"/later\","
                          "server=\"http\",status=\"499\"}"),
            2);
  routes.complete(server);
}

TEST(ServerLimits, an_answer_may_still_come_after_the_server_is_gone) {
  Routes routes;
  std::vector<Later*> left;
  {
    HttpServer server(routes.router, {});
    HttpClient client(server.address());
    client.send(post("/later", "x"));
    routes.wait_for(server, 1);
    server.server().close();
    support::on(server.shard(), [&] { routes.waiting.front()->complete(); });
  }
}

TEST(ServerLimits, a_route_has_its_own_limit_of_bodies) {
  Routes routes;
  HttpServer server(routes.router, {});
  HttpClient client(server.address());
  client.send(post("/small", "0123456789"));
  EXPECT_EQ(client.read().status, 200);
  client.send(post("/large", std::string(5 << 20, 'x')));
  EXPECT_EQ(client.read().body, std::to_string(5 << 20));
  client.send(post("/small", "0123456789x"));
  EXPECT_EQ(client.read().status, 413);
}

TEST(ServerLimits, incomplete_requests_share_a_bound_of_memory) {
  Routes routes;
  HttpServer server(routes.router, {.shard_partial_bytes_max = 100'000});
  std::vector<std::unique_ptr<HttpClient>> clients;
  bool refused = false;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<HttpClient>(server.address()));
    clients.back()->send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" +
                         std::string(40'000, 'x'));
  }
  // Those beyond the bound are told; the others finish.
  int good = 0;
  for (auto& client : clients) {
    client->send(std::string(20'000, 'x'));
    HttpAnswer answer = client->read();
    if (answer.status == 503) refused = true;
    if (answer.status == 200) ++good;
  }
  EXPECT_TRUE(refused);
  EXPECT_GE(good, 1);
}

TEST(ServerLimits, too_many_connections_are_told_503) {
  Routes routes;
  HttpServer server(routes.router, {.connections_max = 2});
  HttpClient one(server.address());
  HttpClient two(server.address());
  one.send(post("/echo", "x"));
  two.send(post("/echo", "x"));
  EXPECT_EQ(one.read().status, 200);
  EXPECT_EQ(two.read().status, 200);
  HttpClient three(server.address());
  HttpAnswer answer = three.read();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.header("Retry-After"), "1");
  EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(answer.body, R"({"type":"about:blank","title":"Service Unavailable","status":503,)"
                         R"("error":"there are too many connections"})");
  EXPECT_EQ(three.read_to_end(), "");
  EXPECT_TRUE(three.closed());
  EXPECT_EQ(server.metric("trialwire_http_connections_refused_total{server=\"http\"}"), 1);
  EXPECT_EQ(server.server().connections(), 2U);
}

TEST(ServerLimits, more_pipelined_requests_than_the_limit_are_answered_in_turns) {
  Routes routes;
  HttpServer server(routes.router, {.pipelined_max = 3});
  HttpClient client(server.address());
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += post("/echo", std::to_string(i));
  client.send(requests + "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nla");
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.read().body, std::to_string(i));
  client.send("st");
  EXPECT_EQ(client.read().body, "last");
}

TEST(ServerLimits, a_client_that_takes_no_answers_is_not_read_and_is_closed_in_the_end) {
  Routes routes;
  HttpServer server(routes.router, {.write_timeout = 200ms});
  HttpClient client(server.address());
  std::string many;
  for (int i = 0; i < 100; ++i) many += "GET /big HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(many);
  EXPECT_EQ(client.read().body, routes.big);
  server.wait_until_unconnected();
  EXPECT_EQ(server.metric("trialwire_http_timeouts_total{kind=\"write\",server=\"http\"}"), 1);
  // A hundred answers are 400 MB; far fewer were ever made.
  EXPECT_LT(server.metric("trialwire_http_requests_total{method=\"GET\",route=\"/big\","
                          "server=\"http\",status=\"200\"}"),
            20);
}

TEST(ServerLimits, nobody_is_read_while_overloaded_and_all_are_when_it_is_over) {
  Routes routes;
  std::atomic<bool> may{false};
  std::atomic<int> asked{0};
  HttpServer server(routes.router, {.may_read =
                                        [&] {
                                          ++asked;
                                          return may.load();
                                        },
                                    .overload_wait = 1h});
  HttpClient client(server.address());
  client.send(post("/echo", "x"));
  while (asked == 0) {
  }
  EXPECT_EQ(server.metric("trialwire_http_requests_total{method=\"POST\",route=\"/echo\","
                          "server=\"http\",status=\"200\"}"),
            0);
  may = true;
  EXPECT_EQ(client.read().status, 200);
}

TEST(ServerLimits, after_the_overload_wait_requests_are_read_again) {
  Routes routes;
  HttpServer server(routes.router, {.may_read = [] { return false; }, .overload_wait = 50ms});
  HttpClient client(server.address());
  for (int i = 0; i < 3; ++i) {
    client.send(post("/echo", "x"));
    EXPECT_EQ(client.read().status, 200);
  }
}

/// Resident bytes of this process.
std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(ServerLimits, thousands_of_connections_with_a_request_each_take_little_memory) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || \
    __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer's own memory would be measured";
#endif
  constexpr std::size_t count = 9'500;  // both ends are in this process
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < 2 * count + 100) GTEST_SKIP() << "too few file descriptors are allowed";
  Routes routes;
  HttpServer server(routes.router, {.request_deadline = 1h});
  std::vector<std::unique_ptr<HttpClient>> clients;
  clients.reserve(count);
  routes.waiting.reserve(count);
  for (std::size_t i = 0; i < count; ++i)
    clients.push_back(std::make_unique<HttpClient>(server.address()));
  while (server.server().connections() < count) support::on(server.shard(), [] {});
  std::size_t idle = resident_bytes();
  for (auto& client : clients) client->send(post("/later", "0123456789012345678901234567"));
  routes.wait_for(server, count);
  std::size_t waiting = resident_bytes();
  EXPECT_LT(waiting - idle, count * 2'048);
  routes.complete(server);
  for (auto& client : clients) ASSERT_EQ(client->read().status, 200);
  RecordProperty("bytes_per_waiting_request", static_cast<int>((waiting - idle) / count));
}

TEST(ServerDrain, idle_connections_close_and_requests_under_way_are_answered) {
  Routes routes;
  HttpServer server(routes.router, {});
  HttpClient idle(server.address());
  HttpClient busy(server.address());
  HttpClient half(server.address());
  idle.send(post("/echo", "x"));
  EXPECT_EQ(idle.read().status, 200);
  busy.send(post("/later", "1") + post("/later", "2"));
  half.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nha");
  routes.wait_for(server, 2);
  support::on(server.shard(), [] {});
  server.server().drain();
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_TRUE(idle.closed());
  EXPECT_THROW(HttpClient late(server.address()), std::runtime_error);
  routes.complete(server);
  HttpAnswer first = busy.read();
  HttpAnswer second = busy.read();
  EXPECT_EQ(first.body + second.body, "12");
  EXPECT_EQ(first.header("Connection"), "");
  EXPECT_EQ(second.header("Connection"), "close");
  half.send("lf");
  HttpAnswer finished = half.read();
  EXPECT_EQ(finished.body, "half");
  EXPECT_EQ(finished.header("Connection"), "close");
  server.wait_until_unconnected();
}

TEST(ServerDrain, close_ends_what_is_left) {
  Routes routes;
  HttpServer server(routes.router, {});
  HttpClient waiting(server.address());
  HttpClient half(server.address());
  waiting.send(post("/never", "x") + post("/later", "x"));
  half.send("POST /ec");
  routes.wait_for(server, 1);
  server.server().close();
  EXPECT_EQ(server.server().connections(), 0U);
  EXPECT_EQ(waiting.read_to_end(), "");
  routes.complete(server);
}

}  // namespace
}  // namespace trialwire::net
