// SPDX-License-Identifier: Apache-2.0
#include "telemetry/metrics.hpp"

#include <cmath>

#include <gmock/gmock.h>

namespace trialwire::telemetry {
namespace {

using testing::HasSubstr;

TEST(Registry, AddsUpCellsWithTheSameLabels) {
  Registry registry;
  registry.counter("trialwire_a_total", "Things.", {{"x", "1"}, {"y", "2"}}).add(3);
  registry.counter("trialwire_a_total", "ignored", {{"y", "2"}, {"x", "1"}}).add(4);
  registry.counter("trialwire_a_total", "", {{"x", "2"}}).add();
  EXPECT_EQ(registry.text(),
            "# HELP trialwire_a_total Things.\n"
            "# TYPE trialwire_a_total counter\n"
            "trialwire_a_total{x=\"1\",y=\"2\"} 7\n"
            "trialwire_a_total{x=\"2\"} 1\n");
}

TEST(Registry, WritesFamiliesByNameAndNumbersShortly) {
  Registry registry;
  registry.gauge("b", "B").set(0.25);
  registry.gauge("a", "A").set(1e9);
  registry.gauge("c", "C").set(std::nan(""));
  registry.observe("d", "D", {}, [] { return -INFINITY; });
  registry.observe_total("e_total", "E", {}, [] { return 1.5; });
  EXPECT_EQ(registry.text(),
            "# HELP a A\n# TYPE a gauge\na 1000000000\n"
            "# HELP b B\n# TYPE b gauge\nb 0.25\n"
            "# HELP c C\n# TYPE c gauge\nc NaN\n"
            "# HELP d D\n# TYPE d gauge\nd -Inf\n"
            "# HELP e_total E\n# TYPE e_total counter\ne_total 1.5\n");
}

TEST(Registry, EscapesHelpAndLabelValues) {
  Registry registry;
  registry.gauge("a", "back\\slash \"quoted\"\nline", {{"l", "a\\b\"c\nd"}}).set(1);
  EXPECT_EQ(registry.text(),
            "# HELP a back\\\\slash \"quoted\"\\nline\n# TYPE a gauge\n"
            "a{l=\"a\\\\b\\\"c\\nd\"} 1\n");
}

TEST(Registry, WritesHistogramBucketsCumulatively) {
  Registry registry;
  std::array<double, 2> bounds{0.5, 2};
  auto& one = registry.histogram("h", "H", bounds, {{"s", "1"}});
  auto& two = registry.histogram("h", "H", bounds, {{"s", "1"}});
  one.observe(0.5);  // bounds are inclusive
  one.observe(1);
  two.observe(3);
  two.observe(std::nan(""));
  EXPECT_THAT(registry.text(), HasSubstr("h_bucket{s=\"1\",le=\"0.5\"} 1\n"
                                         "h_bucket{s=\"1\",le=\"2\"} 2\n"
                                         "h_bucket{s=\"1\",le=\"+Inf\"} 3\n"
                                         "h_sum{s=\"1\"} 4.5\n"
                                         "h_count{s=\"1\"} 3\n"));
}

TEST(Registry, ComputesObservedValuesWithoutItsLock) {
  Registry registry;
  registry.observe("a", "A", {}, [&registry] {
    registry.counter("made_while_scraping_total", "").add();
    return 1.0;
  });
  EXPECT_THAT(registry.text(), HasSubstr("a 1\n"));
  EXPECT_THAT(registry.text(), HasSubstr("made_while_scraping_total"));
}

TEST(RegistryDeathTest, EndsTheProcessWhenAFamilyChangesItsType) {
  Registry registry;
  registry.counter("a_total", "A");
  EXPECT_DEATH(registry.gauge("a_total", "A"), "family.type == type");
}

TEST(RegistryDeathTest, EndsTheProcessOnANameThatPrometheusRefuses) {
  Registry registry;
  EXPECT_DEATH(registry.gauge("a b", ""), "valid_name");
  EXPECT_DEATH(registry.gauge("a", "", {{"l:l", ""}}), "valid_name");
}

TEST(Buckets, AreAscending) {
  EXPECT_TRUE(std::ranges::is_sorted(latency_seconds_buckets()));
  EXPECT_TRUE(std::ranges::is_sorted(size_buckets()));
  EXPECT_EQ(latency_seconds_buckets().front(), 10e-6);
  EXPECT_EQ(size_buckets().back(), 1048576);
}

}  // namespace
}  // namespace trialwire::telemetry
