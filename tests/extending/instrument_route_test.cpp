// SPDX-License-Identifier: Apache-2.0
#include "instrument_route.hpp"

#include <gtest/gtest.h>

#include "net/server.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire::extending {
namespace {

TEST(InstrumentRoute, is_answered_over_http) {
  net::Router router;
  ASSERT_TRUE(add_instrument_route(router));
  support::HttpServer server(router, {});
  support::HttpClient client(server.address());
  client.send("GET /v1/instruments/qlq-c30 HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto found = client.read();
  EXPECT_EQ(found.status, 200);
  EXPECT_EQ(found.body, R"({"id":"qlq-c30","name":"EORTC QLQ-C30","items":30})");
  client.send("GET /v1/instruments/none HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto none = client.read();
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(none.header("Content-Type"), "application/problem+json");
  client.send("POST /v1/instruments/qlq-c30 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(client.read().status, 405);
}

TEST(InstrumentRoute, wants_the_scope_of_who_reads) {
  net::Router router;
  ASSERT_TRUE(add_instrument_route(router));
  ASSERT_EQ(router.routes().size(), 1U);
  EXPECT_EQ(router.routes()[0]->options.scope, auth::Scope::records_read);
  EXPECT_FALSE(add_instrument_route(router)) << "twice is an error";
}

}  // namespace
}  // namespace trialwire::extending
