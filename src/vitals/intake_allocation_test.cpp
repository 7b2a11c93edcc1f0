// SPDX-License-Identifier: Apache-2.0
// Warm, taking in a vital sign allocates nothing, nor does making a row of it.
#if !__has_feature(thread_sanitizer)
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/counted_new.hpp"
#include "vitals/vital_intake.hpp"
#include "vitals/vital_rows.hpp"

namespace trialwire::vitals {
namespace {

std::string sign(int number) {
  return fmt::format(
      R"({{"deviceId":"D-{}","timestamp":"2026-03-01T11:59:58.5+01:00","temperature":98.6,)"
      R"("weight":154.3,"systolic":120,"diastolic":80,"units":{{"temperature":"[degF]",)"
      R"("weight":"LB","perfusion":"%"}},"position":"SUP\u0049NE","sequence":{},)"
      R"("unknown":{{"a":[1,2]}}}})",
      number, number);
}

void expect_no_allocation(const testing::FakeRequest& request) {
  testing::FakeAppender appender;
  journal::Appender* appenders[] = {&appender};
  telemetry::Registry registry;
  ingest::IntakeShards shards({}, appenders);
  auto intake = make_intake({}, shards, registry);
  int status = 0;
  EXPECT_EQ(testing::allocations_when_warm(intake->intake(0, 0), appender, request, status), 0u);
  EXPECT_EQ(status, 200);
}

TEST(VitalAllocation, is_none_for_one_measurement) {
  expect_no_allocation({"", {}, sign(1)});
}

TEST(VitalAllocation, is_none_for_many_lines) {
  std::string body;
  for (int i = 0; i < 500; ++i) body += sign(i) + "\n";
  expect_no_allocation({"", {{"Content-Type", "application/x-ndjson"}}, body});
}

TEST(VitalAllocation, is_none_for_a_row) {
  auto mapper = make_rows();
  std::string body = sign(1);
  journal::Record record;
  record.attributes.kind = journal::RecordKind::vital_sign;
  record.bytes = as_bytes(body);
  std::vector<storage::Value> row(mapper->table().columns.size());
  ASSERT_TRUE(mapper->map(record, row));
  std::size_t before = testing::allocations.load();
  ASSERT_TRUE(mapper->map(record, row));
  EXPECT_EQ(testing::allocations.load() - before, 0u);
}

TEST(VitalAllocation, would_be_seen) {
  std::size_t before = testing::allocations.load();
  ::operator delete(::operator new(1));  // a new-expression could be left out by the compiler
  EXPECT_EQ(testing::allocations.load() - before, 1u);
}

}  // namespace
}  // namespace trialwire::vitals
#endif
