// SPDX-License-Identifier: Apache-2.0
#include "net/rate_gate.hpp"

#include <array>
#include <string>

#include <gmock/gmock.h>

#include <fmt/format.h>

#include "net/response.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire::net {
namespace {

using support::HttpAnswer;
using support::HttpClient;
using support::HttpServer;

/// Believes what a request says of itself.
class Believing final : public Gate {
 public:
  const auth::Principal* admit(const Request& request, const Route&, runtime::Shard&,
                               ResponseWriter& writer) override {
    who_.name = request.header("X-Name");
    if (who_.name != "nobody") return &who_;
    writer.start(401).problem_body("who?", {});
    return nullptr;
  }

 private:
  auth::Principal who_;
};

class RateGateTest : public ::testing::Test {
 protected:
  /// Complete before there is a server.
  static Router routes() {
    Router router;
    EXPECT_TRUE(
        router.add(Method::post, "/", [](Exchange& e) { e.respond(200, "text/plain", ""); }));
    return router;
  }
  static std::string request(std::string_view name, std::string_view body = "") {
    return fmt::format("POST / HTTP/1.1\r\nHost: a\r\nX-Name: {}\r\nContent-Length: {}\r\n\r\n{}",
                       name, body.size(), body);
  }
  HttpAnswer ask(std::string_view name) {
    HttpClient client(server_.address());
    client.send(request(name));
    return client.read();
  }

  telemetry::Registry metrics_;
  Believing inner_;
  RateGate gate_{inner_,
                 {.name = "subject", .per_second = 1, .burst = 2, .keys_max = 64},
                 1,
                 "http",
                 metrics_};
  Router router_ = routes();
  HttpServer server_{router_, {.gate = &gate_}};
};

TEST_F(RateGateTest, a_name_has_one_rate_over_all_connections_and_others_have_theirs) {
  EXPECT_EQ(ask("ann").status, 200);
  EXPECT_EQ(ask("ann").status, 200);
  const HttpAnswer refused = ask("ann");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.header("Retry-After"), "1");
  EXPECT_EQ(refused.header("RateLimit-Policy"), "\"subject\";q=2;w=2");
  EXPECT_EQ(refused.header("RateLimit"), "\"subject\";r=0;t=1");
  EXPECT_EQ(refused.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(refused.body.find("ann"), std::string::npos);
  EXPECT_EQ(ask("bob").status, 200);
  const std::string page = metrics_.text();
  EXPECT_THAT(page, ::testing::HasSubstr("trialwire_admission_refused_total{"
                                         "reason=\"rate_subject\",server=\"http\"} 1\n"));
  EXPECT_THAT(page, ::testing::HasSubstr("trialwire_admission_subjects{server=\"http\"} 2\n"));
}

TEST_F(RateGateTest, a_request_whose_body_is_waited_for_counts_once) {
  HttpClient client(server_.address());
  for (int i = 0; i < 2; ++i) {
    const std::string whole = request("ann", "a body");
    client.send(whole.substr(0, whole.size() - 3));
    support::on(server_.shard(), [] {});
    client.send(whole.substr(whole.size() - 3));
    EXPECT_EQ(client.read().status, 200) << i;
  }
  EXPECT_EQ(ask("ann").status, 429);
}

TEST_F(RateGateTest, who_is_anonymous_or_refused_before_has_none) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(ask("").status, 200);
    EXPECT_EQ(ask("nobody").status, 401);
  }
}

}  // namespace
}  // namespace trialwire::net
