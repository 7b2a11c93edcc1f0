// SPDX-License-Identifier: Apache-2.0
#include "vitals/vital_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/event_mapper.hpp"
#include "vitals/vital_sign.hpp"

namespace trialwire::vitals {
namespace {

using storage::Value;

class VitalRowsTest : public testing::Test {
 protected:
  bool map(std::string_view body, journal::ContentType type = journal::ContentType::json) {
    record_.attributes.kind = journal::RecordKind::vital_sign;
    record_.attributes.content_type = type;
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

TEST_F(VitalRowsTest, every_field_has_its_column) {
  ASSERT_TRUE(map(R"({"deviceId":"D-1","timestamp":"2026-03-01T08:15:30+01:00","heartRate":72,
    "bloodOxygen":97.5,"systolic":120,"diastolic":80,"temperature":36.6,"respiratoryRate":14,
    "glucose":5.4,"weight":70.5,"height":172,"position":"SUPINE","patientId":"P-1",
    "trialId":"T-1","sequence":7,"unknown":1})"));
  EXPECT_EQ(value("device_id"), text("D-1"));
  EXPECT_EQ(value("patient_id"), text("P-1"));
  EXPECT_EQ(value("trial_id"), text("T-1"));
  EXPECT_EQ(value("device_sequence"), Value(std::int64_t{7}));
  EXPECT_EQ(value("timestamp"), text("2026-03-01T08:15:30+01:00"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'772'349'330'000'000'000}));
  EXPECT_EQ(value("heart_rate"), Value(72.0));
  EXPECT_EQ(value("blood_oxygen"), Value(97.5));
  EXPECT_EQ(value("systolic"), Value(120.0));
  EXPECT_EQ(value("diastolic"), Value(80.0));
  EXPECT_EQ(value("temperature"), Value(36.6));
  EXPECT_EQ(value("respiratory_rate"), Value(14.0));
  EXPECT_EQ(value("glucose"), Value(5.4));
  EXPECT_EQ(value("weight"), Value(70.5));
  EXPECT_EQ(value("height"), Value(172.0));
  EXPECT_EQ(value("position"), text("SUPINE"));
  EXPECT_EQ(value("collected"), Value{});
  EXPECT_EQ(value("unusual"), Value{});
}

TEST_F(VitalRowsTest, a_converted_value_stands_beside_the_one_that_was_sent) {
  ASSERT_TRUE(map(R"({"deviceId":"D-1","timestamp":1770000000250,"temperature":98.60,"weight":1e2,
    "heartRate":61,"units":{"weight":"LB","temperature":"[degF]","height":"in"}})"));
  EXPECT_EQ(value("temperature"), Value(37.0));
  EXPECT_EQ(value("weight"), Value(45.359237));
  EXPECT_EQ(value("heart_rate"), Value(61.0));
  EXPECT_EQ(value("collected"), text(R"({"temperature":{"value":98.60,"unit":"[degF]"},)"
                                     R"("weight":{"value":1e2,"unit":"LB"}})"));
  EXPECT_EQ(value("timestamp"), text("2026-02-02T02:40:00.250Z"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'770'000'000'250'000'000}));
}

TEST_F(VitalRowsTest, unusual_values_are_named_and_absent_ones_are_null) {
  ASSERT_TRUE(map(R"({"deviceId":"D-1","timestamp":1770000000250,"patientId":"",
    "temperature":108.5,"systolic":120,"weight":700,"units":{"temperature":"F"}})"));
  EXPECT_EQ(value("unusual"), text(R"(["temperature","weight"])"))
      << "also what would be refused today";
  for (const char* column :
       {"patient_id", "trial_id", "device_sequence", "heart_rate", "diastolic", "position"}) {
    EXPECT_EQ(value(column), Value{}) << column;
  }
}

TEST_F(VitalRowsTest, what_is_no_vital_sign_is_said_to_be_none_and_keeps_its_place_in_time) {
  for (std::string_view body :
       {"", "{", "[]", R"({"deviceId":"D-1"})", "{\"deviceId\":\"\xff\"}",
        R"({"deviceId":"D","timestamp":1,"weight":7,"units":{"weight":"x"}})"}) {
    EXPECT_FALSE(map(body)) << body;
    EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'770'000'000'000'000'000}));
  }
  EXPECT_FALSE(map(R"({"deviceId":"D","timestamp":1,"weight":7})", journal::ContentType::protobuf));
}

TEST_F(VitalRowsTest, its_event_is_keyed_by_the_device_and_tells_its_counter_from_the_journals) {
  storage::EventMapper events(make_rows());
  map(R"({"deviceId":"D-1","timestamp":1770000000250,"temperature":98.6,"sequence":7,)"
      R"("units":{"temperature":"F"}})");
  record_.sequence = 812;
  record_.attributes.flags = unattributed;
  ASSERT_TRUE(events.read(record_));
  EXPECT_EQ(events.key(), "D-1");
  std::string json;
  events.append_json(json);
  EXPECT_TRUE(json.contains(R"("sequence":812,)")) << json;
  EXPECT_TRUE(json.ends_with(
      R"(,"deviceId":"D-1","deviceSequence":7,"timestamp":"2026-02-02T02:40:00.250Z",)"
      R"("temperature":37,"collected":{"temperature":{"value":98.6,"unit":"F"}},)"
      R"("flags":["unattributed"]})"))
      << json;
}

}  // namespace
}  // namespace trialwire::vitals
