// SPDX-License-Identifier: Apache-2.0
// The gate before a server's routes, over real sockets: what a client without leave is told, and
// what it cannot do.
#include "net/bearer_gate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "auth/signer.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire::net {
namespace {

using support::HttpAnswer;
using support::HttpClient;
using support::HttpServer;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string secret = "a secret of more than thirty-two bytes";

struct Later final : DeferredAnswer {
  explicit Later(std::string_view answer) : text(answer) {}
  void render(ResponseWriter& writer) override { writer.start(200).body("text/plain", text); }
  std::string text;
};

std::string token(std::string_view name, std::string_view scope, std::int64_t lifetime_s = 600,
                  std::string_view role = "") {
  auto now = std::chrono::system_clock::now().time_since_epoch();
  std::int64_t now_s = std::chrono::floor<std::chrono::seconds>(now).count();
  const std::string roles = role.empty() ? "" : fmt::format(R"("roles":["{}"],)", role);
  return *auth::Signer::of_secret(secret).sign(fmt::format(
      R"({{"sub":"{}","scope":"{}",{}"exp":{}}})", name, scope, roles, now_s + lifetime_s));
}

/// Keeps "reason who METHOD pattern origin's protocol" of each refusal.
class Refusals final : public RefusalListener {
 public:
  void refused(auth::Refusal why, const auth::Principal* who, const Request& request,
               const Route& route, runtime::Shard&) noexcept override {
    const std::string name = who == nullptr ? "nobody" : who->name;
    told.push_back(fmt::format("{} {} {} {}", auth::label_of(why), name, route.pattern,
                               request.origin.substr(0, request.origin.find(' '))));
  }
  std::vector<std::string> told;  // read after the answer came
};

std::string request(std::string_view method, std::string_view path, std::string_view headers,
                    std::string_view body = "") {
  return fmt::format("{} {} HTTP/1.1\r\nHost: a\r\n{}Content-Length: {}\r\n\r\n{}", method, path,
                     headers, body.size(), body);
}

std::string bearer(std::string_view text) {
  return fmt::format("Authorization: Bearer {}\r\n", text);
}

class BearerGateTest : public ::testing::Test {
 protected:
  BearerGateTest() {
    auto path =
        std::filesystem::temp_directory_path() / ("trialwire-gate-" + std::to_string(::getpid()));
    std::ofstream(path) << secret;
    ::chmod(path.c_str(), 0600);
    keys = std::move(*auth::KeyRing::open({.secret_file = path}, metrics));
    std::filesystem::remove(path);
    gate = std::make_unique<BearerGate>(auth::Authenticator::Options{}, *keys, 1, metrics);
    auto add = [&](Method method, std::string_view path, auth::Scope scope, Handler handler) {
      EXPECT_TRUE(router.add(method, path, std::move(handler), {.scope = scope}));
    };
    add(Method::get, "/who", auth::Scope::records_read, [this](Exchange& e) {
      ++calls;
      e.respond(200, "text/plain", e.principal().name);
    });
    add(Method::post, "/later", auth::Scope::reports_write, [this](Exchange& e) {
      ++calls;
      e.defer<Later>(e.principal().name).complete();
    });
    EXPECT_TRUE(router.add(Method::get, "/trail",
                           [](Exchange& e) { e.respond(200, "text/plain", ""); },
                           {.scope = auth::Scope::records_read, .role = "auditor"}));
    gate->tell(&refusals);
    ServerOptions options;
    options.gate = gate.get();
    server = std::make_unique<HttpServer>(router, options);
  }

  HttpAnswer ask(const std::string& bytes) {
    HttpClient client(server->address());
    client.send(bytes);
    return client.read();
  }
  double refused(std::string_view reason) {
    std::string series = fmt::format("trialwire_auth_refused_total{{reason=\"{}\"}} ", reason);
    std::string page = metrics.text();
    std::size_t at = page.find("\n" + series);
    return at == std::string::npos ? -1 : std::stod(page.substr(at + 1 + series.size()));
  }

  telemetry::Registry metrics;
  std::unique_ptr<auth::KeyRing> keys;
  Refusals refusals;
  std::unique_ptr<BearerGate> gate;
  Router router;
  std::atomic<int> calls{0};
  std::unique_ptr<HttpServer> server;
};

TEST_F(BearerGateTest, a_request_goes_on_as_whom_its_token_names) {
  HttpAnswer answer = ask(request("GET", "/who", bearer(token("alice", "records:read"))));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "alice");
  answer = ask(request("POST", "/later", bearer(token("bob", "reports:write"))));
  EXPECT_EQ(answer.body, "bob");
}

TEST_F(BearerGateTest, without_a_token_it_is_told_how_to_send_one) {
  HttpAnswer answer = ask(request("GET", "/who", ""));
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.header("WWW-Authenticate"), R"(Bearer realm="trialwire")");
  EXPECT_EQ(answer.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(answer.body,
            R"({"type":"about:blank","title":"Unauthorized","status":401,)"
            R"("error":"a bearer token is required","errors":[{"field":"Authorization",)"
            R"("rule":"missing","message":"a bearer token is required"}]})");
  EXPECT_EQ(refused("missing"), 1);
  EXPECT_EQ(calls, 0);
}

TEST_F(BearerGateTest, a_bad_token_is_told_its_reason_and_never_repeated) {
  std::string expired = token("alice", "records:read", -60);
  HttpAnswer answer = ask(request("GET", "/who", bearer(expired)));
  EXPECT_EQ(answer.status, 401);
  EXPECT_EQ(answer.header("WWW-Authenticate"),
            R"(Bearer realm="trialwire", error="invalid_token", )"
            R"(error_description="the token is expired")");
  EXPECT_THAT(answer.body, Not(HasSubstr(expired.substr(0, 12))));
  EXPECT_EQ(ask(request("GET", "/who", bearer("x.y.z"))).status, 401);
  EXPECT_EQ(ask(request("GET", "/who", bearer("a\tb\"c"))).status, 401);
  EXPECT_EQ(refused("expired"), 1);
  EXPECT_EQ(refused("malformed"), 2);
  EXPECT_EQ(calls, 0);
}

TEST_F(BearerGateTest, a_missing_scope_is_named) {
  HttpAnswer answer = ask(request("POST", "/later", bearer(token("alice", "records:read admin"))));
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.header("WWW-Authenticate"),
            R"(Bearer realm="trialwire", error="insufficient_scope", scope="reports:write")");
  EXPECT_THAT(answer.body, HasSubstr(R"("error":"scope: must include reports:write")"));
  EXPECT_THAT(answer.body, HasSubstr(R"({"field":"scope","rule":"required",)"));
  EXPECT_EQ(refused("scope"), 1);
  EXPECT_EQ(calls, 0);
}

TEST_F(BearerGateTest, a_route_for_a_role_wants_it_besides_its_scope) {
  auto get = [&](std::string_view scope, std::string_view role) {
    return ask(request("GET", "/trail", bearer(token("alice", scope, 600, role))));
  };
  EXPECT_EQ(get("records:read", "auditor").status, 200);
  HttpAnswer answer = get("records:read", "monitor");
  EXPECT_EQ(answer.status, 403);
  EXPECT_THAT(answer.body, HasSubstr(R"("error":"roles: must include auditor")"));
  EXPECT_EQ(get("reports:write", "auditor").status, 403);
  EXPECT_EQ(refused("role"), 1);
  EXPECT_EQ(refused("scope"), 1);
}

TEST_F(BearerGateTest, every_refusal_is_told_with_whose_it_is_where_that_is_known) {
  ask(request("GET", "/who", ""));
  ask(request("GET", "/who", bearer("x.y.z")));
  ask(request("POST", "/later", bearer(token("alice", "records:read"))));
  ask(request("GET", "/trail", bearer(token("bob", "records:read"))));
  ask(request("GET", "/who", bearer(token("carol", "records:read"))));
  EXPECT_EQ(refusals.told,
            (std::vector<std::string>{"missing nobody /who http", "malformed nobody /who http",
                                      "scope alice /later http", "role bob /trail http"}));
}

TEST_F(BearerGateTest, two_authorizations_are_one_too_many) {
  std::string good = bearer(token("alice", "records:read"));
  EXPECT_EQ(ask(request("GET", "/who", good + good)).status, 401);
  EXPECT_EQ(ask(request("GET", "/who", good + "aUTHORIZATION: Basic eDp5\r\n")).status, 401);
  EXPECT_EQ(refused("ambiguous"), 2);
}

TEST_F(BearerGateTest, answers_of_a_read_stay_in_order_whoever_is_refused) {
  std::string good = bearer(token("alice", "reports:write records:read"));
  HttpClient client(server->address());
  client.send(request("POST", "/later", good) + request("POST", "/later", "") +
              request("GET", "/who", good) + request("POST", "/later", good) +
              request("GET", "/who", bearer("x")) + request("GET", "/nowhere", "") +
              request("POST", "/later", good));
  std::string statuses;
  for (const HttpAnswer& answer : client.read_many(7)) {
    statuses += std::to_string(answer.status) + " ";
  }
  EXPECT_EQ(statuses, "200 401 200 200 401 404 200 ");
}

TEST_F(BearerGateTest, each_request_of_a_connection_is_of_its_own_token) {
  HttpClient client(server->address());
  for (const char* name : {"alice", "bob", "alice"}) {
    client.send(request("GET", "/who", bearer(token(name, "records:read"))));
    EXPECT_EQ(client.read().body, name);
  }
  client.send(request("GET", "/who", ""));
  EXPECT_EQ(client.read().status, 401);
}

TEST_F(BearerGateTest, a_stranger_s_body_is_not_waited_for) {
  HttpClient client(server->address());
  client.send("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{");
  EXPECT_EQ(client.read().status, 401);
  client.read_to_end();
  EXPECT_TRUE(client.closed());
  HttpClient chunked(server->address());
  chunked.send("POST /later HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab");
  EXPECT_EQ(chunked.read().status, 401);
  EXPECT_EQ(refused("missing"), 2);
}

TEST_F(BearerGateTest, a_body_for_a_path_that_is_none_is_not_waited_for) {
  for (const char* head : {"POST /nowhere", "POST /who", "BREW /later", "OPTIONS /nowhere"}) {
    for (const char* body :
         {"Content-Length: 1000\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
      HttpClient client(server->address());
      client.send(fmt::format("{} HTTP/1.1\r\nHost: a\r\n{}", head, body));
      const HttpAnswer answer = client.read();
      EXPECT_GE(answer.status, 404) << head;
      EXPECT_EQ(answer.header("Connection"), "close") << head;
      client.read_to_end();
      EXPECT_TRUE(client.closed());
    }
  }
}

TEST_F(BearerGateTest, an_address_over_its_rate_has_no_token_verified) {
  HttpServer limited(router, {.gate = gate.get(), .admission = {.address = {1, 2}}});
  std::string statuses;
  for (int i = 0; i < 4; ++i) {
    HttpClient client(limited.address());
    client.send("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n" + bearer("x.y.z") +
                "\r\n{");
    const HttpAnswer answer = client.read();
    statuses += std::to_string(answer.status) + " ";
    EXPECT_NE(answer.header("RateLimit"), "");
    EXPECT_EQ(answer.header("Connection"), "close");
  }
  EXPECT_EQ(statuses, "401 401 429 429 ");
  EXPECT_EQ(refused("malformed"), 2);
}

TEST_F(BearerGateTest, a_body_in_pieces_counts_once_against_the_rate) {
  HttpServer limited(router, {.gate = gate.get(), .admission = {.address = {1, 5}}});
  HttpClient client(limited.address());
  client.send("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n" +
              bearer(token("alice", "reports:write")) + "\r\nhello");
  support::on(limited.shard(), [] {});
  client.send("hello");
  const HttpAnswer answer = client.read();
  EXPECT_EQ(answer.body, "alice");
  EXPECT_THAT(answer.header("RateLimit"), HasSubstr(";r=4;"));
}

TEST_F(BearerGateTest, a_stranger_is_not_told_to_go_on) {
  HttpClient client(server->address());
  client.send(
      "POST /later HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(client.read().status, 401);
  HttpClient known(server->address());
  known.send("POST /later HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" +
             bearer(token("alice", "reports:write")) + "\r\n");
  EXPECT_EQ(known.read().status, 100);
  known.send("hello");
  EXPECT_EQ(known.read().body, "alice");
}

TEST_F(BearerGateTest, a_body_in_pieces_is_taken_from_whom_the_token_names) {
  HttpClient client(server->address());
  client.send("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n" +
              bearer(token("alice", "reports:write")) + "\r\nhello");
  support::on(server->shard(), [] {});
  client.send("hello");
  EXPECT_EQ(client.read().body, "alice");
}

TEST_F(BearerGateTest, paths_that_are_none_and_options_need_no_token) {
  EXPECT_EQ(ask(request("GET", "/nowhere", "")).status, 404);
  EXPECT_EQ(ask(request("DELETE", "/who", "")).status, 405);
  EXPECT_EQ(ask(request("OPTIONS", "/who", "")).status, 204);
}

TEST_F(BearerGateTest, head_is_get) {
  HttpClient client(server->address());
  client.send(request("HEAD", "/who", ""));
  EXPECT_EQ(client.read(true).status, 401);
  client.send(request("HEAD", "/who", bearer(token("alice", "records:read"))));
  EXPECT_EQ(client.read(true).status, 200);
}

}  // namespace
}  // namespace trialwire::net
