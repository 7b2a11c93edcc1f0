// SPDX-License-Identifier: Apache-2.0
// The intake behind a real server; the journal is in memory and commits when told to.
#include "epro/intake_routes.hpp"

#include <gtest/gtest.h>

#include <string>

#include "support/fake_appender.hpp"
#include "support/http_client.hpp"
#include "support/http_server.hpp"

namespace trialwire::epro {
namespace {

std::string post(std::string_view path, std::string_view body) {
  return fmt::format(
      "POST {} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
      "Content-Length: {}\r\n\r\n{}",
      path, body.size(), body);
}

constexpr std::string_view report =
    R"({"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30Z","qolScore":7})";

struct Gateway {
  Gateway() {
    auto added = add_intake_routes(router, {}, shards, registry);
    if (added) intake = std::move(*added);
    server = std::make_unique<support::HttpServer>(router, net::ServerOptions{});
  }

  /// Waits for the group that a request has ended, and commits it.
  void commit() {
    for (bool done = false; !done;) {
      support::on(server->shard(), [&] {
        done = appender.waiting();
        if (done) appender.commit();
      });
    }
  }

  testing::FakeAppender appender;
  journal::Appender* appenders[1] = {&appender};
  telemetry::Registry registry;
  ingest::IntakeShards shards{{}, appenders};
  net::Router router;
  std::unique_ptr<ReportIntake> intake;
  std::unique_ptr<support::HttpServer> server;
};

TEST(IntakeRoutes, answer_on_every_path_after_the_commit) {
  Gateway gateway;
  ASSERT_NE(gateway.intake, nullptr);
  support::HttpClient client(gateway.server->address());
  for (std::string_view path : ReportIntake::paths()) {
    client.send(post(
        path, path == "/submit" ? R"({"report_id":"R-1","patient_id":"P-1","data":"x"})" : report));
    gateway.commit();
    support::HttpAnswer answer = client.read();
    EXPECT_EQ(answer.status, 200) << path << answer.body;
    EXPECT_NE(answer.body.find(R"("receipt":{"recordId":")"), std::string::npos) << answer.body;
  }
  EXPECT_EQ(gateway.appender.stored.size(), 2u) << "the three of the current form are one report";
  EXPECT_EQ(gateway.appender.stored[0].origin.substr(0, 15), "http 127.0.0.1:");
}

TEST(IntakeRoutes, answer_errors_at_once_and_other_methods_with_405) {
  Gateway gateway;
  support::HttpClient client(gateway.server->address());
  client.send(post("/v1/epro/reports", R"({"patientId":""})"));
  support::HttpAnswer wrong = client.read();
  EXPECT_EQ(wrong.status, 400);
  EXPECT_EQ(wrong.header("Content-Type"), "application/problem+json");
  EXPECT_NE(wrong.body.find(R"("errors":[{"field":"patientId","rule":"length")"), std::string::npos)
      << wrong.body;
  client.send("PUT /submit HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(client.read().status, 405);
}

TEST(IntakeRoutes, that_exist_already_are_an_error) {
  Gateway gateway;
  telemetry::Registry registry;
  EXPECT_FALSE(add_intake_routes(gateway.router, {}, gateway.shards, registry).has_value());
}

}  // namespace
}  // namespace trialwire::epro
