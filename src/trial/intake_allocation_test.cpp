// SPDX-License-Identifier: Apache-2.0
// Warm, taking in a metric allocates nothing, nor does making a row of it.
#if !__has_feature(thread_sanitizer)
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/counted_new.hpp"
#include "trial/metric_intake.hpp"
#include "trial/metric_rows.hpp"

namespace trialwire::trial {
namespace {

std::string metric(int number) {
  return fmt::format(
      R"({{"MetricID":"enrolled","StudyID":"T-{}","SiteID":"S-\u0039","Value":41.25,)"
      R"("Timestamp":1772366400000,"Annotations":["a","b\n"],"unknown":{{"a":[1,2]}}}})",
      number);
}

TEST(MetricAllocation, is_none_for_many_lines) {
  std::string body;
  for (int i = 0; i < 500; ++i) body += metric(i) + "\n";
  testing::FakeAppender appender;
  journal::Appender* appenders[] = {&appender};
  telemetry::Registry registry;
  ingest::IntakeShards shards({}, appenders);
  auto intake = make_intake({}, shards, registry);
  int status = 0;
  testing::FakeRequest request{"", {{"Content-Type", "application/x-ndjson"}}, body};
  EXPECT_EQ(testing::allocations_when_warm(intake->intake(0, 0), appender, request, status), 0u);
  EXPECT_EQ(status, 200);
}

TEST(MetricAllocation, is_none_for_a_row) {
  auto mapper = make_rows();
  std::string body = metric(1);
  journal::Record record;
  record.attributes.kind = journal::RecordKind::trial_metric;
  record.bytes = as_bytes(body);
  std::vector<storage::Value> row(mapper->table().columns.size());
  ASSERT_TRUE(mapper->map(record, row));
  std::size_t before = testing::allocations.load();
  ASSERT_TRUE(mapper->map(record, row));
  EXPECT_EQ(testing::allocations.load() - before, 0u);
}

}  // namespace
}  // namespace trialwire::trial
#endif
