// SPDX-License-Identifier: Apache-2.0
// Every route that clients reach, and what a token must be for to use it. A route that is added
// without a row here fails; so does one whose scope is another.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>

#include "auth/scope.hpp"
#include "epro/intake_routes.hpp"
#include "net/router.hpp"
#include "qol/qol_intake.hpp"
#include "query/record_lists.hpp"
#include "runtime/worker_pool.hpp"
#include "serve_intake.hpp"
#include "serve_store.hpp"
#include "support/fake_appender.hpp"
#include "trial/metric_intake.hpp"
#include "vitals/vital_intake.hpp"

namespace trialwire {
namespace {

const std::map<std::string, std::string> expected{
    {"POST /v1/epro/reports", "reports:write"}, {"POST /v1/patient/report", "reports:write"},
    {"POST /epro/submit", "reports:write"},     {"POST /submit", "reports:write"},
    {"POST /v1/epro/qol", "reports:write"},     {"POST /submit_qol", "reports:write"},
    {"POST /v1/vitals", "vitals:write"},        {"POST /v1/metrics", "metrics:write"},
    {"GET /v1/epro/reports", "records:read"},   {"GET /v1/epro/qol", "records:read"},
    {"GET /v1/vitals", "records:read"},         {"GET /v1/metrics", "records:read"},
    {"GET /v1/audit", "records:read"},
};

class NoQuery final : public storage::RecordQuery {
 public:
  Result<storage::ListPage> list(const storage::Principal&, const storage::ListShape&,
                                 const storage::ListFilter&,
                                 const storage::QueryControl&) override {
    return storage::ListPage{};
  }
};

class NoReads final : public query::ReadLog {
 public:
  Result<void> admit(runtime::Shard&) override { return {}; }
  bool add(const query::Read&, runtime::Shard&, journal::Waiter&) override { return false; }
};

TEST(RouteTable, names_the_scope_and_the_kind_of_every_route) {
  testing::FakeAppender appender;
  std::array<journal::Appender*, 1> appenders{&appender};
  telemetry::Registry metrics;
  ingest::IntakeShards shards({}, appenders);
  net::Router router;
  NoQuery query;
  NoReads reads;
  runtime::WorkerPool workers({.name = "test", .threads = 1, .queue_max = 1});
  query::RecordLists lists({}, list_routes(), query, workers, reads);
  auto kinds = make_kind_intakes(shards, metrics);
  auto reports = epro::add_intake_routes(router, {}, shards, metrics);
  ASSERT_TRUE(reports);
  for (const auto& kind : kinds) ASSERT_TRUE(kind->add_routes(router));
  ASSERT_TRUE(lists.add_routes(router));

  std::map<std::string, std::string> found;
  for (const auto& route : router.routes()) {
    found[std::string(name_of(route->method)) + " " + route->pattern] =
        auth::name_of(route->options.scope);
    const bool intake = route->options.kind == net::RouteKind::intake;
    EXPECT_EQ(intake, route->method == net::Method::post) << route->pattern;
    EXPECT_EQ(route->options.role, route->pattern == "/v1/audit" ? "auditor" : "");
  }
  EXPECT_EQ(found, expected);
}

TEST(RouteTable, a_route_that_says_nothing_is_the_administrators_alone) {
  net::Router router;
  ASSERT_TRUE(router.add(net::Method::get, "/new", [](net::Exchange&) {}));
  EXPECT_EQ(router.routes().front()->options.scope, auth::Scope::admin);
}

}  // namespace
}  // namespace trialwire
