// SPDX-License-Identifier: Apache-2.0
#include "qol/qol_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "qol/qol_answer.hpp"
#include "storage/event_mapper.hpp"

namespace trialwire::qol {
namespace {

using storage::Value;

class QolRowsTest : public testing::Test {
 protected:
  bool map(std::string_view body) {
    record_.attributes.kind = journal::RecordKind::qol_answer;
    record_.attributes.received_ns = 1'770'000'000'000'000'000;
    body_ = body;
    record_.bytes = as_bytes(body_);
    row_.assign(mapper_->table().columns.size(), Value{});
    return mapper_->map(record_, row_);
  }
  Value value(std::string_view column) {
    auto columns = mapper_->table().columns;
    auto at = std::find(columns.begin(), columns.end(), column) - columns.begin();
    return row_.at(static_cast<std::size_t>(at));
  }
  static Value text(std::string_view text) { return text; }

  std::unique_ptr<storage::RowMapper> mapper_ = make_rows();
  journal::Record record_;
  std::string body_;
  std::vector<Value> row_;
};

TEST_F(QolRowsTest, every_field_has_its_column) {
  ASSERT_TRUE(map(R"({"patient_id":"P-1","question_id":"Q1","answer":-3,
    "submit_time":"2026-03-01T08:15:30+01:00","trial_id":"T-1","instrument":"SF-36",
    "visit_id":"V-2","unknown":1})"));
  EXPECT_EQ(value("patient_id"), text("P-1"));
  EXPECT_EQ(value("trial_id"), text("T-1"));
  EXPECT_EQ(value("question_id"), text("Q1"));
  EXPECT_EQ(value("answer"), Value(std::int64_t{-3}));
  EXPECT_EQ(value("timestamp"), text("2026-03-01T08:15:30+01:00"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'772'349'330'000'000'000}));
  EXPECT_EQ(value("instrument"), text("SF-36"));
  EXPECT_EQ(value("visit_id"), text("V-2"));
}

TEST_F(QolRowsTest, what_is_absent_is_null_and_an_answer_of_zero_is_not) {
  ASSERT_TRUE(map(R"({"patient_id":"P-1","question_id":"Q1","answer":0,
    "submit_time":"2026-03-01T08:15:30Z","trial_id":""})"));
  EXPECT_EQ(value("answer"), Value(std::int64_t{0}));
  for (const char* column : {"trial_id", "instrument", "visit_id"}) {
    EXPECT_EQ(value(column), Value{}) << column;
  }
}

TEST_F(QolRowsTest, what_is_no_answer_is_said_to_be_none_and_keeps_its_place_in_time) {
  EXPECT_FALSE(map(R"({"patient_id":"P-1"})"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'770'000'000'000'000'000}));
  EXPECT_EQ(value("patient_id"), Value{});
}

TEST_F(QolRowsTest, its_event_is_keyed_by_the_patient_and_has_the_contracts_names) {
  storage::EventMapper events(make_rows());
  map(R"({"patient_id":"P-1","question_id":"Q1","answer":3,"submit_time":"2026-03-01T08:15:30Z"})");
  record_.attributes.flags = unattributed;
  ASSERT_TRUE(events.read(record_));
  EXPECT_EQ(events.key(), "P-1");
  std::string json;
  events.append_json(json);
  EXPECT_TRUE(json.ends_with(R"(,"patient_id":"P-1","question_id":"Q1","answer":3,)"
                             R"("submit_time":"2026-03-01T08:15:30Z","flags":["unattributed"]})"))
      << json;
}

}  // namespace
}  // namespace trialwire::qol
