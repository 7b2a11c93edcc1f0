// SPDX-License-Identifier: Apache-2.0
#include "trial/metric_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/event_mapper.hpp"
#include "trial/trial_metric.hpp"

namespace trialwire::trial {
namespace {

using storage::Value;

class MetricRowsTest : public testing::Test {
 protected:
  bool map(std::string_view body) {
    record_.attributes.kind = journal::RecordKind::trial_metric;
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

TEST_F(MetricRowsTest, every_field_has_its_column_in_either_spelling) {
  for (std::string_view body :
       {R"({"metricId":"enrolled","studyId":"T-1","siteId":"S-9","value":41.25,
            "timestamp":"2026-03-01T08:15:30+01:00","annotations":["a", "b\n"]})",
        R"({"MetricID":"enrolled","StudyID":"T-1","SiteID":"S-9","Value":41.25,
            "Timestamp":"2026-03-01T08:15:30+01:00","Annotations":["a", "b\n"]})"}) {
    ASSERT_TRUE(map(body));
    EXPECT_EQ(value("metric_id"), text("enrolled"));
    EXPECT_EQ(value("trial_id"), text("T-1"));
    EXPECT_EQ(value("site_id"), text("S-9"));
    EXPECT_EQ(value("value"), Value(41.25));
    EXPECT_EQ(value("timestamp"), text("2026-03-01T08:15:30+01:00"));
    EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'772'349'330'000'000'000}));
    EXPECT_EQ(value("annotations"), text(R"(["a", "b\n"])"));
  }
}

TEST_F(MetricRowsTest, without_a_time_it_has_that_of_its_receipt) {
  ASSERT_TRUE(map(R"({"metricId":"m","studyId":"T-1","siteId":"S-9","value":0})"));
  EXPECT_EQ(value("timestamp"), text("2026-02-02T02:40:00.000Z"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'770'000'000'000'000'000}));
  EXPECT_EQ(value("value"), Value(0.0));
  EXPECT_EQ(value("annotations"), Value{});
}

TEST_F(MetricRowsTest, a_time_finer_than_nanoseconds_fits_its_column) {
  std::string digits(100, '7');
  ASSERT_TRUE(map(R"({"metricId":"m","studyId":"T-1","siteId":"S-9","value":0,)"
                  R"("timestamp":"2026-03-01T08:15:30.)" +
                  digits + "-05:30\"}"));
  EXPECT_EQ(value("timestamp"), text("2026-03-01T08:15:30.777777777-05:30"));
}

TEST_F(MetricRowsTest, what_is_no_metric_is_said_to_be_none_and_keeps_its_place_in_time) {
  EXPECT_FALSE(map(R"({"metricId":"m"})"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'770'000'000'000'000'000}));
  EXPECT_EQ(value("metric_id"), Value{});
}

TEST_F(MetricRowsTest, its_event_is_keyed_by_the_study) {
  storage::EventMapper events(make_rows());
  map(R"({"MetricID":"m","StudyID":"T-1","SiteID":"S-9","Value":1e21,"Timestamp":1770000000})");
  record_.attributes.flags = timestamp_unit_assumed;
  ASSERT_TRUE(events.read(record_));
  EXPECT_EQ(events.key(), "T-1");
  std::string json;
  events.append_json(json);
  EXPECT_TRUE(json.ends_with(
      R"(,"metricId":"m","studyId":"T-1","siteId":"S-9","value":1e+21,)"
      R"("timestamp":"2026-02-02T02:40:00.000Z","flags":["timestamp_unit_assumed"]})"))
      << json;
}

}  // namespace
}  // namespace trialwire::trial
