// SPDX-License-Identifier: Apache-2.0
#include "epro/report_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "epro/report.hpp"
#include "storage/event_mapper.hpp"

namespace trialwire::epro {
namespace {

using storage::Value;

class ReportRowsTest : public testing::Test {
 protected:
  bool map(std::string_view body, journal::ContentType type = journal::ContentType::json) {
    record_.attributes.content_type = type;
    record_.attributes.received_ns = 1'770'000'000'000'000'000;
    record_.bytes = as_bytes(body);
    row_.assign(mapper_->table().columns.size(), Value{});
    return mapper_->map(record_, row_);
  }
  Value value(std::string_view column) {
    auto columns = mapper_->table().columns;
    auto at = std::find(columns.begin(), columns.end(), column) - columns.begin();
    return row_.at(static_cast<std::size_t>(at));
  }
  static Value text(std::string_view text) { return text; }

  std::unique_ptr<storage::RowMapper> mapper_ = make_report_rows();
  journal::Record record_;
  std::vector<Value> row_;
};

TEST_F(ReportRowsTest, every_field_has_its_column) {
  ASSERT_TRUE(map(R"({"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30+01:00",
    "qolScore":7,"comments":"a \"quoted\" word","siteId":"S-1","reportId":"R-1",
    "answers":{"pain":3,"mood":"ok"},"instrument":"EQ-5D","instrumentVersion":"5L",
    "visitId":"V-2","unknown":1})"));
  EXPECT_EQ(value("patient_id"), text("P-1"));
  EXPECT_EQ(value("trial_id"), text("T-1"));
  EXPECT_EQ(value("timestamp"), text("2026-03-01T08:15:30+01:00"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'772'349'330'000'000'000}));
  EXPECT_EQ(value("qol_score"), Value(std::int64_t{7}));
  EXPECT_EQ(value("comments"), text("a \"quoted\" word"));
  EXPECT_EQ(value("site_id"), text("S-1"));
  EXPECT_EQ(value("report_id"), text("R-1"));
  EXPECT_EQ(value("instrument"), text("EQ-5D"));
  EXPECT_EQ(value("instrument_version"), text("5L"));
  EXPECT_EQ(value("visit_id"), text("V-2"));
  EXPECT_EQ(value("answers"), text(R"({"pain":3,"mood":"ok"})"));
}

TEST_F(ReportRowsTest, what_is_absent_is_null_and_a_score_of_zero_is_not) {
  ASSERT_TRUE(map(R"({"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30Z",
    "qolScore":0,"comments":""})"));
  EXPECT_EQ(value("qol_score"), Value(std::int64_t{0}));
  EXPECT_EQ(value("comments"), text(""));
  for (const char* column : {"site_id", "report_id", "instrument", "visit_id", "answers"}) {
    EXPECT_EQ(value(column), Value{}) << column;
  }
}

TEST_F(ReportRowsTest, an_older_clients_report_has_the_time_of_its_receipt_and_no_score) {
  ASSERT_TRUE(map(R"({"report_id":"R-1","patient_id":"P-1","data":"tired"})",
                  journal::ContentType::json_legacy));
  EXPECT_EQ(value("patient_id"), text("P-1"));
  EXPECT_EQ(value("report_id"), text("R-1"));
  EXPECT_EQ(value("instrument"), text("legacy"));
  EXPECT_EQ(value("trial_id"), Value{});
  EXPECT_EQ(value("qol_score"), Value{});
  EXPECT_EQ(value("timestamp"), text("2026-02-02T02:40:00.000Z"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'770'000'000'000'000'000}));
}

TEST_F(ReportRowsTest, bytes_that_are_no_report_are_said_to_be_and_keep_their_place_in_time) {
  EXPECT_FALSE(map("not JSON"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'770'000'000'000'000'000}));
  EXPECT_EQ(value("patient_id"), Value{});
}

TEST_F(ReportRowsTest, the_event_of_a_report_is_keyed_by_its_patient_and_has_its_fields) {
  storage::EventMapper events(make_report_rows());
  record_.bytes = as_bytes(std::string_view(
      R"({"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30+01:00","qolScore":0,)"
      R"("answers":{"pain":3},"unknown":1})"));
  record_.attributes.flags = timestamp_in_past;
  ASSERT_TRUE(events.read(record_));
  EXPECT_EQ(events.key(), "P-1");
  std::string json;
  events.append_json(json);
  EXPECT_TRUE(json.ends_with(
      R"(,"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30+01:00","qolScore":0,)"
      R"("answers":{"pain":3},"flags":["timestamp_in_past"]})"))
      << json;
}

TEST_F(ReportRowsTest, flags_have_their_names_at_their_bits) {
  auto names = report_flag_names();
  EXPECT_EQ(names[0], "timestamp_in_future");
  EXPECT_EQ(names[1], "timestamp_in_past");
  EXPECT_EQ(names[2], "unattributed");
  EXPECT_EQ(names.size(), 3U);
}

}  // namespace
}  // namespace trialwire::epro
