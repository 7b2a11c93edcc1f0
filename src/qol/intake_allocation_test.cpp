// SPDX-License-Identifier: Apache-2.0
// Warm, taking in an answer allocates nothing, nor does making a row of it.
#if !__has_feature(thread_sanitizer)
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "qol/qol_intake.hpp"
#include "qol/qol_rows.hpp"
#include "support/counted_new.hpp"

namespace trialwire::qol {
namespace {

std::string answer(int number) {
  return fmt::format(
      R"({{"patient_id":"P-{}","question_id":"Q\u0031","answer":3,)"
      R"("submit_time":"2026-03-01T11:59:58.5+01:00","trial_id":"T-1","instrument":"SF-36",)"
      R"("unknown":{{"a":[1,2]}}}})",
      number);
}

TEST(QolAllocation, is_none_for_an_array) {
  std::string body = "[" + answer(0);
  for (int i = 1; i < 100; ++i) body += "," + answer(i);
  testing::FakeAppender appender;
  journal::Appender* appenders[] = {&appender};
  telemetry::Registry registry;
  ingest::IntakeShards shards({}, appenders);
  auto intake = make_intake({}, shards, registry);
  int status = 0;
  EXPECT_EQ(
      testing::allocations_when_warm(intake->intake(0, 1), appender, {"", {}, body + "]"}, status),
      0u);
  EXPECT_EQ(status, 200);
}

TEST(QolAllocation, is_none_for_a_row) {
  auto mapper = make_rows();
  std::string body = answer(1);
  journal::Record record;
  record.attributes.kind = journal::RecordKind::qol_answer;
  record.bytes = as_bytes(body);
  std::vector<storage::Value> row(mapper->table().columns.size());
  ASSERT_TRUE(mapper->map(record, row));
  std::size_t before = testing::allocations.load();
  ASSERT_TRUE(mapper->map(record, row));
  EXPECT_EQ(testing::allocations.load() - before, 0u);
}

}  // namespace
}  // namespace trialwire::qol
#endif
