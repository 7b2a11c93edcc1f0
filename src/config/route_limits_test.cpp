// SPDX-License-Identifier: Apache-2.0
#include "config/route_limits.hpp"

#include <gmock/gmock.h>

#include "config/loader.hpp"
#include "config/pages.hpp"

namespace trialwire::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view yaml = R"(limits:
  request_deadline: 30s
  routes:
    /:
      deadline: 5s
    /v1/vitals: { per_second: 50, concurrent: 8 }
    /v1/epro/reports: { per_second: 2, burst: 7, body: 64KiB, deadline: 10s }
)";

std::string wrong(std::string_view text) {
  auto parsed = parse_route_limits(text);
  return parsed ? "" : parsed.error();
}

TEST(RouteLimits, are_read_from_the_file) {
  const auto settings = load_text(yaml, "t.yaml");
  ASSERT_TRUE(settings) << settings.error().at(0).text();
  const auto& routes = settings->limits.routes;
  ASSERT_EQ(routes.size(), 3U);
  EXPECT_EQ(routes[0].prefix, "/");
  EXPECT_EQ(routes[0].deadline, 5s);
  EXPECT_EQ(routes[0].per_second, 0U);
  EXPECT_EQ(routes[1].prefix, "/v1/vitals");
  EXPECT_EQ(routes[1].per_second, 50U);
  EXPECT_EQ(routes[1].burst, 120U) << "as that of all routes, unless it is said";
  EXPECT_EQ(routes[1].concurrent, 8U);
  EXPECT_EQ(routes[2].burst, 7U);
  EXPECT_EQ(routes[2].body, 64U << 10);
}

TEST(RouteLimits, are_printed_as_they_are_read) {
  const auto settings = load_text(yaml, "t.yaml");
  ASSERT_TRUE(settings);
  EXPECT_EQ(format_route_limits(settings->limits.routes),
            "{/: {deadline: 5s}, /v1/vitals: {per_second: 50, burst: 120, concurrent: 8}, "
            "/v1/epro/reports: {per_second: 2, burst: 7, deadline: 10s, body: 64KiB}}");
  const std::string printed = print_yaml(*settings);
  const auto again = load_text(printed, "again");
  ASSERT_TRUE(again) << again.error().at(0).text();
  EXPECT_EQ(print_yaml(*again), printed);
  EXPECT_EQ(format_route_limits({}), "{}");
}

TEST(RouteLimits, may_be_set_on_the_command_line) {
  const auto settings =
      load_text("", "", {"limits.routes={/v1/vitals: {concurrent: 3}, /: {body: 2KiB}}"});
  ASSERT_TRUE(settings) << settings.error().at(0).text();
  EXPECT_EQ(settings->limits.routes.size(), 2U);
  EXPECT_EQ(settings->limits.routes[0].concurrent, 3U);
}

TEST(RouteLimits, say_what_is_wrong_of_which_prefix) {
  const auto loaded =
      load_text("limits:\n  routes:\n    /v1/vitals: { deadline: soon }\n", "t.yaml");
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().at(0).text(),
              HasSubstr("t.yaml:2: limits.routes: /v1/vitals: deadline: must be a duration"));
  EXPECT_THAT(wrong("{/v1/vitals: {rate: 5}}"), HasSubstr("/v1/vitals: has limits per_second"));
  EXPECT_THAT(wrong("{/v1/vitals: {body: 1KiB, body: 2KiB}}"),
              HasSubstr("/v1/vitals: body: is set twice"));
  EXPECT_THAT(wrong("{/v1/vitals: {body: [1]}}"), HasSubstr("/v1/vitals: body: must be a size"));
  EXPECT_THAT(wrong("{/v1/vitals: {burst: 5}}"), HasSubstr("wants per_second"));
  EXPECT_THAT(wrong("{/v1/vitals: {}}"), HasSubstr("must be a map of limits"));
  EXPECT_THAT(wrong("{/v1/vitals: 5}"), HasSubstr("must be a map of limits"));
  EXPECT_THAT(wrong("{/v1: {body: 1KiB}, /v1: {body: 2KiB}}"), HasSubstr("/v1: is there twice"));
  EXPECT_THAT(wrong("{/v1: {concurrent: 0}}"), HasSubstr("concurrent: must be a whole number"));
  EXPECT_THAT(wrong("[/v1]"), HasSubstr("must be a map"));
  EXPECT_THAT(wrong("{/v1: "), HasSubstr("must be a map"));
  for (const char* no_prefix : {"v1", "/v1/", "//", "/v1//x", "/v1/:id", "/v1/*", "\"/v1 x\"",
                                "\"\"", "\"s3cret?token=x\""}) {
    const std::string said = wrong(std::string("{") + no_prefix + ": {body: 1KiB}}");
    EXPECT_THAT(said, HasSubstr("a prefix is")) << no_prefix;
    EXPECT_EQ(said.find("s3cret"), std::string::npos);
  }
}

TEST(RouteLimits, must_go_with_the_limits_of_all_routes) {
  auto problems = [](std::string_view text) {
    std::vector<std::string> found;
    if (auto loaded = load_text(text, "t"); !loaded) {
      for (const Problem& problem : loaded.error()) found.push_back(problem.text());
    }
    return found;
  };
  EXPECT_THAT(problems("limits: { routes: { /v1: { deadline: 6s } } }"),
              ElementsAre("limits.routes: /v1: deadline: must not be over "
                          "limits.request_deadline (5s)"));
  EXPECT_THAT(
      problems("limits: { routes: { /v1: { body: 9MiB } } }"),
      ElementsAre("limits.routes: /v1: body: must not be over limits.inflated_body (8MiB)"));
}

}  // namespace
}  // namespace trialwire::config
