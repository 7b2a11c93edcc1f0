// SPDX-License-Identifier: Apache-2.0
// The server over real sockets: what a client sees. Limits and timeouts: server_limits_test.cpp.
#include "net/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "net/response.hpp"
#include "net/socket.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire::net {
namespace {

using support::HttpAnswer;
using support::HttpClient;
using support::HttpServer;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Later final : DeferredAnswer {
  explicit Later(std::string_view answer_text) : text(answer_text) {}
  void render(ResponseWriter& writer) override { writer.start(200).body("text/plain", text); }
  std::string text;
};

/// Routes that tests share. Deferred answers are completed by /flush, or at once when asked.
struct Routes {
  Routes() {
    auto add = [&](Method method, std::string_view path, Handler handler) {
      ASSERT_TRUE(router.add(method, path, std::move(handler)));
    };
    add(Method::post, "/echo", [](Exchange& e) { e.respond(200, "text/plain", e.request().body); });
    add(Method::get, "/hello/:name",
        [](Exchange& e) { e.respond(200, "text/plain", *e.request().param("name")); });
    add(Method::get, "/origin",
        [](Exchange& e) { e.respond(200, "text/plain", e.connection().origin); });
    add(Method::get, "/throw", [](Exchange&) { throw std::runtime_error("secret"); });
    add(Method::get, "/half", [](Exchange& e) {
      e.writer().start(200).header("X", "y");
      throw 1;
    });
    add(Method::get, "/silent", [](Exchange&) {});
    add(Method::post, "/later",
        [this](Exchange& e) { waiting.push_back(&e.defer<Later>(e.request().body)); });
    add(Method::post, "/at-once", [](Exchange& e) { e.defer<Later>(e.request().body).complete(); });
    add(Method::post, "/later-throw", [this](Exchange& e) {
      waiting.push_back(&e.defer<Later>("x"));
      throw std::runtime_error("secret");
    });
    add(Method::get, "/big", [this](Exchange& e) { e.respond(200, "text/plain", big); });
  }

  /// Completes what waits, last first, on the shard; waits until `count` are there.
  void complete(HttpServer& server, std::size_t count) {
    for (bool done = false; !done;) {
      support::on(server.shard(), [&] {
        if (waiting.size() < count) return;
        for (auto it = waiting.rbegin(); it != waiting.rend(); ++it) (*it)->complete();
        waiting.clear();
        done = true;
      });
    }
  }

  Router router;
  std::vector<Later*> waiting;  // the shard's
  std::string big = std::string(3 << 20, 'b');
};

class ServerTest : public ::testing::Test {
 protected:
  Routes routes_;
  HttpServer server_{routes_.router, {}};
};

std::string post(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

std::string get(std::string_view path, std::string_view headers = {}) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n";
}

TEST_F(ServerTest, answers_requests_one_after_the_other_on_one_connection) {
  HttpClient client(server_.address());
  for (int i = 0; i < 5; ++i) {
    client.send(post("/echo", "body " + std::to_string(i)));
    HttpAnswer answer = client.read();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, "body " + std::to_string(i));
    EXPECT_EQ(answer.header("Connection"), "");
  }
}

TEST_F(ServerTest, answers_all_requests_of_a_read_in_one_write) {
  HttpClient client(server_.address());
  std::string requests;
  for (int i = 0; i < 20; ++i) requests += post("/echo", std::to_string(i));
  client.send(requests);
  std::string together = client.read_some();
  std::size_t answers = 0;
  for (std::size_t at = 0; (at = together.find("HTTP/1.1 200", at)) != std::string::npos; ++at)
    ++answers;
  EXPECT_EQ(answers, 20U);
}

TEST_F(ServerTest, deferred_answers_leave_together_in_the_order_of_their_requests) {
  HttpClient client(server_.address());
  client.send(post("/echo", "0") + post("/later", "1") + post("/echo", "2") +
              post("/at-once", "3") + post("/later", "4") + get("/nothing"));
  routes_.complete(server_, 2);
  std::string together = client.read_some();
  EXPECT_THAT(together, StartsWith("HTTP/1.1 200"));
  HttpClient again(server_.address());
  again.send(post("/echo", "0") + post("/later", "1") + post("/echo", "2") + post("/at-once", "3") +
             post("/later", "4") + get("/nothing"));
  routes_.complete(server_, 2);
  auto answers = again.read_many(6);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(answers[i].body, std::to_string(i));
  EXPECT_EQ(answers[5].status, 404);
  EXPECT_THAT(together, HasSubstr("HTTP/1.1 404"));
}

TEST_F(ServerTest, a_deferred_answer_completed_within_the_handler_is_sent) {
  HttpClient client(server_.address());
  client.send(post("/at-once", "now"));
  EXPECT_EQ(client.read().body, "now");
}

TEST_F(ServerTest, requests_sent_while_others_wait_are_answered_after_them) {
  HttpClient client(server_.address());
  client.send(post("/later", "first"));
  support::on(server_.shard(), [] {});
  client.send(post("/echo", "second"));
  routes_.complete(server_, 1);
  EXPECT_EQ(client.read().body, "first");
  EXPECT_EQ(client.read().body, "second");
}

TEST_F(ServerTest, a_body_that_comes_in_pieces_is_whole_for_the_handler) {
  for (std::size_t size : {10UL, 5'000UL, 300'000UL, 1UL << 20}) {
    HttpClient client(server_.address());
    std::string body(size, 'x');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i % 23);
    std::string request = post("/echo", body) + post("/echo", "after");
    for (std::size_t at = 0; at < request.size();) {
      std::size_t piece = at < 200 ? 7 : 100'000;
      client.send(std::string_view(request).substr(at, piece));
      at += piece;
    }
    EXPECT_EQ(client.read().body, body) << size;
    EXPECT_EQ(client.read().body, "after") << size;
  }
}

TEST_F(ServerTest, a_chunked_body_is_decoded_however_it_is_cut) {
  std::string body(50'000, 'y');
  std::string chunked;
  for (std::size_t at = 0; at < body.size(); at += 10'000)
    chunked += "2710;x=y\r\n" + body.substr(at, 10'000) + "\r\n";
  std::string request = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
                        chunked + "0\r\nTrailer: ignored\r\n\r\n" + post("/echo", "after");
  for (std::size_t piece : {13UL, 997UL, request.size()}) {
    HttpClient client(server_.address());
    for (std::size_t at = 0; at < request.size(); at += piece)
      client.send(std::string_view(request).substr(at, piece));
    EXPECT_EQ(client.read().body, body) << piece;
    EXPECT_EQ(client.read().body, "after") << piece;
  }
}

TEST_F(ServerTest, an_answer_larger_than_the_socket_takes_arrives_whole) {
  HttpClient client(server_.address());
  client.send(get("/big") + get("/hello/you") + get("/big"));
  EXPECT_EQ(client.read().body, routes_.big);
  EXPECT_EQ(client.read().body, "you");
  EXPECT_EQ(client.read().body, routes_.big);
}

TEST_F(ServerTest, head_has_the_length_and_no_body) {
  HttpClient client(server_.address());
  client.send("HEAD /hello/world HTTP/1.1\r\nHost: a\r\n\r\n" + get("/hello/you"));
  HttpAnswer head = client.read(true);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.header("Content-Length"), "5");
  EXPECT_EQ(client.read().body, "you");
}

TEST_F(ServerTest, says_100_continue_before_the_body_and_after_earlier_answers) {
  HttpClient client(server_.address());
  client.send(
      post("/echo", "first") +
      "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.read().body, "first");
  EXPECT_EQ(client.read().status, 100);
  client.send("hello");
  EXPECT_EQ(client.read().body, "hello");
}

TEST_F(ServerTest, a_body_that_is_not_wanted_is_refused_before_it_comes) {
  std::map<std::string, int> cases{
      {"POST /nothing HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
       404},
      {"POST /origin HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n",
       405},
      {"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n",
       413}};
  for (const auto& [request, status] : cases) {
    HttpClient client(server_.address());
    client.send(request);
    HttpAnswer answer = client.read();
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.header("Connection"), "close");
    client.end_sending();
    client.read_to_end();
    EXPECT_TRUE(client.closed());
  }
}

TEST_F(ServerTest, a_body_over_the_limit_is_refused_at_once_and_the_client_sees_it) {
  HttpClient client(server_.address());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
  client.send(std::string(500'000, 'x'));
  HttpAnswer answer = client.read();
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
}

TEST_F(ServerTest, a_chunked_body_over_the_limit_is_refused) {
  HttpClient client(server_.address());
  client.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < 11; ++i) client.send("186a0\r\n" + std::string(100'000, 'x') + "\r\n");
  EXPECT_EQ(client.read().status, 413);
}

TEST_F(ServerTest, a_handler_that_throws_answers_500_and_the_connection_lives) {
  HttpClient client(server_.address());
  for (std::string path : {"/throw", "/half", "/silent"}) {
    client.send(get(path) + get("/hello/still"));
    HttpAnswer failed = client.read();
    EXPECT_EQ(failed.status, 500) << path;
    EXPECT_EQ(failed.header("X"), "");
    EXPECT_EQ(failed.body.find("secret"), std::string::npos);
    EXPECT_EQ(client.read().body, "still");
  }
}

TEST_F(ServerTest, a_handler_that_defers_and_throws_answers_500_without_waiting) {
  HttpClient client(server_.address());
  client.send(post("/later-throw", "") + get("/hello/still"));
  EXPECT_EQ(client.read().status, 500);
  EXPECT_EQ(client.read().body, "still");
  routes_.complete(server_, 1);
}

TEST_F(ServerTest, unknown_paths_methods_and_options) {
  HttpClient client(server_.address());
  client.send(get("/nothing") + get("/echo") + "DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n" +
              "BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n" +
              "OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n" +
              "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  auto answers = client.read_many(6);
  EXPECT_EQ(answers[0].status, 404);
  EXPECT_THAT(answers[0].body, HasSubstr("\"error\":"));
  EXPECT_EQ(answers[1].status, 405);
  EXPECT_EQ(answers[1].header("Allow"), "POST, OPTIONS");
  EXPECT_EQ(answers[2].status, 405);
  EXPECT_EQ(answers[3].status, 501);
  EXPECT_EQ(answers[4].status, 204);
  EXPECT_EQ(answers[4].header("Allow"), "POST, OPTIONS");
  EXPECT_EQ(answers[5].status, 204);
  EXPECT_EQ(answers[5].header("Allow"), "GET, HEAD, POST, OPTIONS");
}

TEST_F(ServerTest, closes_after_connection_close_and_after_http_1_0) {
  for (std::string request :
       {get("/hello/a", "Connection: close\r\n"), std::string("GET /hello/a HTTP/1.0\r\n\r\n")}) {
    HttpClient client(server_.address());
    client.send(request + get("/hello/not-answered"));
    HttpAnswer answer = client.read();
    EXPECT_EQ(answer.body, "a");
    EXPECT_EQ(answer.header("Connection"), "close");
    client.end_sending();
    EXPECT_EQ(client.read_to_end(), "");
    EXPECT_TRUE(client.closed());
  }
}

TEST_F(ServerTest, an_http_1_0_client_may_ask_to_stay) {
  HttpClient client(server_.address());
  for (int i = 0; i < 2; ++i) {
    client.send("GET /hello/a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(client.read().header("Connection"), "keep-alive");
  }
}

TEST_F(ServerTest, a_client_that_has_ended_sending_still_gets_its_answers) {
  HttpClient client(server_.address());
  client.send(post("/echo", "a") + post("/later", "b"));
  client.end_sending();
  routes_.complete(server_, 1);
  EXPECT_EQ(client.read().body, "a");
  EXPECT_EQ(client.read().body, "b");
  EXPECT_EQ(client.read_to_end(), "");
  EXPECT_TRUE(client.closed());
}

TEST_F(ServerTest, a_client_that_leaves_within_a_body_is_forgotten_and_no_handler_called) {
  {
    HttpClient client(server_.address());
    client.send("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nhalf");
    HttpClient chunked(server_.address());
    chunked.send("POST /later HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
    HttpClient other(server_.address());
    other.send(get("/hello/x"));
    EXPECT_EQ(other.read().status, 200);
  }
  server_.wait_until_unconnected();
  support::on(server_.shard(), [&] { EXPECT_TRUE(routes_.waiting.empty()); });
  EXPECT_EQ(server_.metric("trialwire_http_partial_bytes{server=\"http\"}"), 0);
}

TEST_F(ServerTest, a_client_that_resets_while_it_is_owed_answers_leaves_nothing_behind) {
  HttpClient client(server_.address());
  client.send(post("/later", "never read"));
  while (server_.server().connections() == 0) {
  }
  for (bool there = false; !there;)
    support::on(server_.shard(), [&] { there = !routes_.waiting.empty(); });
  client.reset();
  server_.wait_until_unconnected();
  routes_.complete(server_, 1);  // the orphan's answer comes: nothing to send it to
  HttpClient other(server_.address());
  other.send(get("/hello/x"));
  EXPECT_EQ(other.read().body, "x");
}

TEST_F(ServerTest, tells_handlers_where_a_request_came_from) {
  HttpClient client(server_.address());
  client.send(get("/origin"));
  EXPECT_THAT(client.read().body, StartsWith("http 127.0.0.1:"));
}

TEST_F(ServerTest, listens_on_ipv6) {
  Routes routes;
  HttpServer server(routes.router, {.listen = "[::1]:0"});
  HttpClient client(server.address());
  client.send(get("/origin"));
  EXPECT_THAT(client.read().body, StartsWith("http [::1]:"));
}

TEST_F(ServerTest, several_shards_share_one_port) {
  Routes routes;
  HttpServer server(routes.router, {}, 3);
  for (int i = 0; i < 30; ++i) {
    HttpClient client(server.address());
    client.send(post("/echo", "x"));
    EXPECT_EQ(client.read().body, "x");
  }
}

TEST_F(ServerTest, counts_requests_by_route_and_status) {
  HttpClient client(server_.address());
  client.send(post("/echo", "x") + post("/echo", "y") + get("/nothing"));
  client.read_many(3);
  client.send("DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  client.read_many(2);
  EXPECT_EQ(server_.metric("trialwire_http_requests_total{method=\"DELETE\",route=\"/echo\","
                           "server=\"http\",status=\"405\"}"),
            1)
      << "the path is known, the method is not";
  EXPECT_EQ(server_.metric("trialwire_http_requests_total{method=\"OPTIONS\",route=\"/echo\","
                           "server=\"http\",status=\"204\"}"),
            1);
  client.send("bad\r\n\r\n");
  client.read();
  EXPECT_EQ(server_.metric("trialwire_http_requests_total{method=\"POST\",route=\"/echo\","
                           "server=\"http\",status=\"200\"}"),
            2)
      << server_.metrics_page();
  EXPECT_EQ(server_.metric("trialwire_http_requests_total{method=\"GET\",route=\"none\","
                           "server=\"http\",status=\"404\"}"),
            1);
  EXPECT_EQ(server_.metric("trialwire_http_refused_requests_total{server=\"http\",status=\"400\"}"),
            1);
  EXPECT_EQ(server_.metric("trialwire_http_connections_accepted_total{server=\"http\"}"), 1);
}

TEST(ServerListen, a_port_that_is_taken_is_refused_with_one_line) {
  Routes routes;
  HttpServer first(routes.router, {});
  telemetry::Registry metrics;
  runtime::Shard shard(0);
  runtime::Shard* shards[] = {&shard};
  Server second({.listen = first.address()}, routes.router, metrics);
  auto listens = second.listen(shards);
  ASSERT_FALSE(listens);
  EXPECT_EQ(listens.error().text, "cannot listen on " + first.address() + ": it is taken");
}

TEST(ServerListen, malformed_addresses_and_options_are_refused) {
  Routes routes;
  telemetry::Registry metrics;
  runtime::Shard shard(0);
  runtime::Shard* shards[] = {&shard};
  for (std::string address : {"", "8080", "localhost:80", "1.2.3.4:99999", "::1:80", "[::1]"}) {
    Server server({.listen = address}, routes.router, metrics);
    auto listens = server.listen(shards);
    ASSERT_FALSE(listens) << address;
    EXPECT_EQ(listens.error().code, ErrorCode::invalid_argument);
  }
  Server server({.listen = "127.0.0.1:0", .head_bytes_max = 1 << 20}, routes.router, metrics);
  EXPECT_FALSE(server.listen(shards));
}

}  // namespace
}  // namespace trialwire::net
