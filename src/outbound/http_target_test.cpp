// SPDX-License-Identifier: Apache-2.0
// The client against real servers, good and bad. A server that fails for long: bad_days_test.cpp.
#include "outbound/http_target.hpp"

#include <atomic>
#include <cstdlib>
#include <future>
#include <latch>
#include <mutex>
#include <stop_token>
#include <vector>

#include <gmock/gmock.h>

#include "outbound/test_target.hpp"
#include "support/http_server.hpp"
#include "support/https_server.hpp"

namespace trialwire::outbound {
namespace {

using namespace std::chrono_literals;
using support::rough_answer;
using support::RoughHttp;
using support::RoughRequest;
using testing::Client;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(HttpTarget, calls_a_server_and_gives_its_answer) {
  net::Router router;
  ASSERT_TRUE(router.add(net::Method::post, "/echo/:name", [](net::Exchange& e) {
    e.respond(200, "text/plain",
              fmt::format("{} {} {} {}", *e.request().param("name"), e.request().query,
                          e.request().body, e.request().header("traceparent")));
  }));
  support::HttpServer server(router, {});
  Client client(server.address());
  auto answer = client.target().call({.method = HttpMethod::post,
                                      .target = "/echo/a?b=c",
                                      .headers = {{"Content-Type", "text/plain"}},
                                      .body = "body",
                                      .traceparent = "00-aa-bb-01"});
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer->status, 200U);
  EXPECT_EQ(answer->content_type, "text/plain");
  EXPECT_EQ(answer->body, "a b=c body 00-aa-bb-01");
  auto missing = client.target().call({.target = "/nothing"});
  ASSERT_TRUE(missing) << missing.error().text;
  EXPECT_EQ(missing->status, 404U) << "an answer, not a failure";
  EXPECT_EQ(client.outcome("answered"), 1);
  EXPECT_EQ(client.outcome("status_4xx"), 1);
  EXPECT_EQ(client.metric("trialwire_outbound_call_seconds_count{target=\"peer\"}"), 2);
  EXPECT_EQ(client.metric("trialwire_outbound_in_flight{target=\"peer\"}"), 0);
}

TEST(HttpTarget, sends_methods_and_headers_as_they_are_and_none_of_its_own_making) {
  std::mutex mutex;
  std::vector<RoughRequest> seen;
  RoughHttp server([&](auto& peer, const RoughRequest& request) {
    const std::lock_guard lock(mutex);
    seen.push_back(request);
    return peer.send(rough_answer(204, ""));
  });
  Client client(server.address());
  const std::string large(3 << 20, 'x');
  for (auto [method, body] :
       {std::pair(HttpMethod::get, std::string()), std::pair(HttpMethod::post, large),
        std::pair(HttpMethod::put, std::string("b")),
        std::pair(HttpMethod::delete_, std::string())}) {
    auto answer = client.target().call({.method = method, .target = "/a/../b", .body = body});
    ASSERT_TRUE(answer) << answer.error().text;
    EXPECT_EQ(answer->status, 204U);
  }
  ASSERT_EQ(seen.size(), 4U);
  EXPECT_EQ(seen[0].line, "GET /a/../b HTTP/1.1");
  EXPECT_EQ(seen[1].line, "POST /a/../b HTTP/1.1");
  EXPECT_EQ(seen[2].line, "PUT /a/../b HTTP/1.1");
  EXPECT_EQ(seen[3].line, "DELETE /a/../b HTTP/1.1");
  EXPECT_EQ(seen[1].body, large);
  for (const RoughRequest& each : seen) {
    EXPECT_EQ(each.header("host"), server.address());
    EXPECT_EQ(each.header("user-agent"), "trialwire");
    for (const char* name : {"expect", "content-type", "authorization", "cookie", "traceparent"}) {
      EXPECT_EQ(each.header(name), "") << name;
    }
  }
  EXPECT_EQ(server.connections(), 1U) << "one connection, used again";
}

TEST(HttpTarget, follows_no_redirect) {
  std::atomic<int> asked{0};
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    ++asked;
    return peer.send(rough_answer(302, "", "Location: /elsewhere\r\n"));
  });
  Client client(server.address());
  auto answer = client.target().call({});
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(answer->status, 302U);
  EXPECT_EQ(asked, 1);
}

TEST(HttpTarget, sends_nothing_that_could_be_a_second_request) {
  std::atomic<int> asked{0};
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    ++asked;
    return peer.send(rough_answer(200, ""));
  });
  Client client(server.address());
  for (const char* target : {"", "x", "/a b", "/a\r\nX: y", "/a\tb", "http://h/", "/\x7f"}) {
    auto answer = client.target().call({.target = target});
    ASSERT_FALSE(answer) << target;
    EXPECT_EQ(answer.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_FALSE(client.target().call({.headers = {{"X", "a\r\nY: b"}}}));
  EXPECT_FALSE(client.target().call({.headers = {{"X: a", "b"}}}));
  EXPECT_FALSE(client.target().call({.headers = {{"", "b"}}}));
  EXPECT_FALSE(client.target().call({.traceparent = "00\r\nX: y"}));
  EXPECT_EQ(asked, 0);
}

TEST(HttpTarget, an_endless_body_ends_at_its_limit) {
  RoughHttp server([](auto& peer, const RoughRequest& request) {
    const std::string piece(64 << 10, 'x');
    if (request.line.starts_with("GET /length")) {
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
    } else if (request.line.starts_with("GET /head")) {
      peer.send("HTTP/1.1 200 OK\r\n");
      while (peer.send("X-Filler: " + std::string(1'000, 'y') + "\r\n")) {
      }
      return false;
    } else {
      peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    }
    while (peer.send("10000\r\n" + piece + "\r\n")) {
    }
    return false;
  });
  Client client(server.address(), {.answer_bytes_max = 200'000});
  for (const char* target : {"/chunked", "/length", "/head"}) {
    auto answer = client.target().call({.target = target});
    ASSERT_FALSE(answer) << target;
    EXPECT_EQ(answer.error().code, ErrorCode::payload_too_large) << target;
  }
  EXPECT_EQ(client.outcome("too_large"), 3);
}

TEST(HttpTarget, a_body_that_is_cut_off_is_no_answer) {
  std::atomic<int> asked{0};
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    ++asked;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    return false;
  });
  Client client(server.address());
  auto answer = client.target().call({});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  EXPECT_EQ(asked, 2) << "a GET may arrive twice";
  EXPECT_FALSE(client.target().call({.method = HttpMethod::post}));
  EXPECT_EQ(asked, 3) << "a POST may not";
  EXPECT_FALSE(client.target().call({.method = HttpMethod::post, .repeatable = true}));
  EXPECT_EQ(asked, 5) << "unless it says so";
  EXPECT_EQ(client.outcome("cut_off"), 3);
  EXPECT_EQ(client.metric("trialwire_outbound_retries_total{target=\"peer\"}"), 2);
}

TEST(HttpTarget, what_hangs_is_left_at_its_deadline) {
  RoughHttp server([&](auto& peer, const RoughRequest&) { return peer.wait(1h); });
  Client client(server.address(), {.deadline = 50ms});
  const auto began = std::chrono::steady_clock::now();
  auto answer = client.target().call({});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::deadline_exceeded);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 50ms);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  EXPECT_EQ(client.outcome("timeout"), 1);
}

TEST(HttpTarget, says_why_without_saying_where) {
  auto gone = std::make_unique<RoughHttp>([](auto&, const RoughRequest&) { return false; });
  const std::string address = gone->address();
  gone.reset();
  Client client(address);
  auto answer = client.target().call({.target = "/secret?token=secret"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  EXPECT_THAT(answer.error().text, HasSubstr("peer: "));
  EXPECT_THAT(answer.error().text, HasSubstr("connect"));
  EXPECT_THAT(answer.error().text, Not(HasSubstr("secret")));
  EXPECT_EQ(client.outcome("unreachable"), 1);
  EXPECT_EQ(client.metric("trialwire_outbound_retries_total{target=\"peer\"}"), 1);
}

TEST(HttpTarget, repeats_within_its_budget_and_no_further) {
  std::atomic<int> asked{0};
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    ++asked;
    return peer.send(rough_answer(503, ""));
  });
  // The breaker is kept out of it: a window's worth of failures is protected.
  Client client(server.address(),
                {.retries = 3,
                 .backoff = {.first = 1ms, .cap = 1ms},
                 .budget = {.share = 0.1, .per_second = 0, .burst = 4}},
                {.protection = 10'000});
  constexpr int calls = 41;
  for (int i = 0; i < calls; ++i) {
    auto answer = client.target().call({});
    ASSERT_TRUE(answer) << answer.error().text;
    EXPECT_EQ(answer->status, 503U);
  }
  EXPECT_EQ(asked, calls + 4 + 4) << "the burst, and a tenth of the calls after the first";
  EXPECT_EQ(client.metric("trialwire_outbound_retries_total{target=\"peer\"}"), 8);
  EXPECT_GT(client.metric("trialwire_outbound_retries_refused_total{target=\"peer\"}"), 0);
  EXPECT_EQ(client.outcome("status_5xx"), calls);
}

TEST(HttpTarget, a_retry_finds_the_server_that_is_well) {
  RoughHttp bad([](auto& peer, const RoughRequest&) { return peer.send(rough_answer(502, "")); });
  RoughHttp good([](auto& peer, const RoughRequest&) { return peer.send(rough_answer(200, "")); });
  Client client(bad.address() + "," + good.address(),
                {.retries = 2, .backoff = {.first = 1ms, .cap = 1ms}});
  int answered = 0;
  for (int i = 0; i < 100; ++i) {
    auto answer = client.target().call({});
    answered += answer && answer->status == 200 ? 1 : 0;
  }
  EXPECT_GE(answered, 90);
}

TEST(HttpTarget, of_several_servers_the_slow_one_gets_little) {
  std::atomic<int> slow_asked{0}, fast_asked{0};
  RoughHttp slow([&](auto& peer, const RoughRequest&) {
    ++slow_asked;
    return peer.wait(100ms) && peer.send(rough_answer(200, ""));
  });
  RoughHttp fast([&](auto& peer, const RoughRequest&) {
    ++fast_asked;
    return peer.send(rough_answer(200, ""));
  });
  Client client(slow.address() + "," + fast.address());
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(client.target().call({}));
  EXPECT_LT(slow_asked * 10, fast_asked);
  EXPECT_GE(slow_asked, 1);
}

TEST(HttpTarget, calls_beyond_its_limit_are_refused_at_once) {
  std::latch let_go(1);
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    let_go.wait();
    return peer.send(rough_answer(200, ""));
  });
  Client client(server.address(), {.concurrent_max = 2});
  std::vector<std::promise<unsigned>> answers(2);
  for (auto& answer : answers) {
    ASSERT_TRUE(client.target().start(
        {}, [&](Result<HttpResponse> result) { answer.set_value(result ? result->status : 0); }));
  }
  auto third = client.target().call({});
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::overloaded);
  let_go.count_down();
  for (auto& answer : answers) EXPECT_EQ(answer.get_future().get(), 200U);
  EXPECT_EQ(client.outcome("busy"), 1);
}

TEST(HttpTarget, who_is_told_that_a_call_has_ended_may_make_the_next_one) {
  RoughHttp server(
      [](auto& peer, const RoughRequest&) { return peer.send(rough_answer(200, "")); });
  Client client(server.address(), {.concurrent_max = 1});
  for (int i = 0; i < 2'000; ++i) ASSERT_TRUE(client.target().call({})) << i;
  EXPECT_EQ(client.outcome("busy"), 0);
}

TEST(HttpTarget, a_call_is_cancelled_when_it_is_asked_to) {
  std::latch asked(1);
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    asked.count_down();
    return peer.wait(1h);
  });
  Client client(server.address(), {.deadline = 1h});
  std::stop_source stop;
  auto answer = std::async(std::launch::async,
                           [&] { return client.target().call({.stop = stop.get_token()}); });
  asked.wait();
  stop.request_stop();
  auto result = answer.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::cancelled);
}

TEST(HttpTarget, the_loop_ends_every_call_when_it_stops) {
  std::latch asked(1);
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    asked.count_down();
    return peer.wait(1h);
  });
  Client client(server.address(), {.deadline = 1h});
  std::promise<ErrorCode> ended;
  ASSERT_TRUE(client.target().start({}, [&](Result<HttpResponse> result) {
    ended.set_value(result ? ErrorCode::internal : result.error().code);
  }));
  asked.wait();
  client.loop().stop();
  EXPECT_EQ(ended.get_future().get(), ErrorCode::cancelled);
  auto late = client.target().call({});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::cancelled);
}

TEST(HttpTarget, hands_pieces_of_an_answer_on_as_they_come) {
  std::latch got_first(1);
  RoughHttp server([&](auto& peer, const RoughRequest&) {
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    got_first.wait();  // the rest only when the first piece has arrived
    return peer.send("3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n");
  });
  Client client(server.address(), {.answer_bytes_max = 1});
  std::string all;
  auto answer = client.target().call({.on_body = [&](std::string_view piece) {
    if (all.empty()) got_first.count_down();
    all += piece;
    return true;
  }});
  ASSERT_TRUE(answer) << answer.error().text;
  EXPECT_EQ(all, "onetwothree");
  EXPECT_EQ(answer->body, "");
  auto ended = client.target().call({.on_body = [](std::string_view) { return false; }});
  EXPECT_TRUE(ended) << "the reader had enough";
}

TEST(HttpTarget, without_a_server_that_is_known_says_so) {
  Client client("", {});
  auto answer = client.target().call({});
  ASSERT_FALSE(answer);
  EXPECT_THAT(answer.error().text, HasSubstr("no server is known"));
}

TEST(HttpTarget, does_not_ask_the_environment_for_a_proxy) {
  std::atomic<int> asked{0};
  RoughHttp proxy([&](auto& peer, const RoughRequest& request) {
    ++asked;
    EXPECT_THAT(request.line, HasSubstr("GET http://"));
    return peer.send(rough_answer(200, "by proxy"));
  });
  RoughHttp server(
      [](auto& peer, const RoughRequest&) { return peer.send(rough_answer(200, "")); });
  const std::string url = "http://" + proxy.address();
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) ::setenv(name, url.c_str(), 1);
  Client client(server.address());
  EXPECT_EQ(client.target().call({})->body, "");
  EXPECT_EQ(asked, 0);
  ::setenv("no_proxy", "*", 1);
  Client by_setting(server.address(), {.proxy = url});
  EXPECT_EQ(by_setting.target().call({})->body, "by proxy");
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY", "no_proxy"}) ::unsetenv(name);
}

class TlsTarget : public ::testing::Test {
 protected:
  TlsTarget() {
    EXPECT_TRUE(router_.add(net::Method::get, "/",
                            [](net::Exchange& e) { e.respond(200, "text/plain", "hello"); }));
  }

  static std::string outcome(const Endpoint& where, const std::string& ca) {
    Client client(EndpointList{where}, {.tls = true, .files = {.ca = ca}});
    auto answer = client.target().call({});
    if (answer) return answer->body;
    EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
    return client.outcome("not_trusted") == 1 ? "not trusted" : answer.error().text;
  }

  support::Authority authority_{"authority"};
  net::Router router_;
};

TEST_F(TlsTarget, is_trusted_by_its_authority_and_name_and_by_nothing_less) {
  const support::HttpsServer server(router_, authority_.sign("localhost"));
  const std::string ca = server.write("ca.pem", authority_.pem());
  const std::string other = server.write("other.pem", support::Authority("other").pem());
  const Endpoint localhost{server.as("localhost"), ""};
  EXPECT_EQ(outcome(localhost, ca), "hello");
  EXPECT_EQ(outcome(localhost, other), "not trusted");
  EXPECT_EQ(outcome(localhost, ""), "not trusted") << "no authority of the system's";
  EXPECT_EQ(outcome(localhost, ca + ".none"), "not trusted");
  EXPECT_EQ(outcome({server.as("other.example"), server.as("127.0.0.1")}, ca), "not trusted")
      << "another name, at the same address";
  EXPECT_EQ(outcome({server.as("localhost"), server.as("127.0.0.1")}, ca), "hello");
}

TEST_F(TlsTarget, with_an_expired_certificate_is_not_trusted) {
  const support::HttpsServer server(router_, authority_.sign("localhost", -60));
  EXPECT_EQ(outcome({server.as("localhost"), ""}, server.write("ca.pem", authority_.pem())),
            "not trusted");
}

}  // namespace
}  // namespace trialwire::outbound
