// SPDX-License-Identifier: Apache-2.0
#include "app_version_gate.hpp"

#include <string>

#include <gtest/gtest.h>

#include "net/response.hpp"
#include "net/server.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire::extending {
namespace {

std::string request(const std::string& version) {
  return "GET /hello HTTP/1.1\r\nHost: a\r\n" +
         (version.empty() ? "" : "X-App-Version: " + version + "\r\n") + "\r\n";
}

struct Strangers final : net::Gate {
  const auth::Principal* admit(const net::Request&, const net::Route&, runtime::Shard&,
                               net::ResponseWriter& writer) override {
    writer.problem(ErrorCode::unauthenticated, "who are you?");
    return nullptr;
  }
};

class AppVersionGateTest : public testing::Test {
 protected:
  AppVersionGateTest() {
    EXPECT_TRUE(router_.add(net::Method::get, "/hello",
                            [](net::Exchange& e) { e.respond(200, "text/plain", "hello"); }));
  }
  net::Router router_;
  telemetry::Registry metrics_;
};

TEST_F(AppVersionGateTest, refuses_what_is_recalled_and_the_connection_goes_on) {
  AppVersionGate gate(nullptr, {"2.0.1", "2.0.2"}, 1, metrics_);
  support::HttpServer server(router_, {.gate = &gate});
  support::HttpClient client(server.address());
  client.send(request("2.0.1") + request("2.0.3") + request(""));
  const auto refused = client.read();
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.body.find("recalled"), std::string::npos);
  EXPECT_EQ(client.read().status, 200);
  EXPECT_EQ(client.read().status, 200) << "who says nothing is not refused";
  EXPECT_NE(metrics_.text().find("trialwire_app_versions_refused_total 1"), std::string::npos);
}

TEST_F(AppVersionGateTest, asks_the_gate_within_first) {
  Strangers strangers;
  AppVersionGate gate(&strangers, {"2.0.1"}, 1, metrics_);
  support::HttpServer server(router_, {.gate = &gate});
  support::HttpClient client(server.address());
  client.send(request("2.0.1"));
  const auto refused = client.read();
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.body.find("recalled"), std::string::npos);
}

}  // namespace
}  // namespace trialwire::extending
