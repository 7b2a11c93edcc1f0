// SPDX-License-Identifier: Apache-2.0
#include "audit/audit_rows.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "audit/audit_list.hpp"
#include "storage/event_mapper.hpp"

namespace trialwire::audit {
namespace {

using storage::Value;

class AuditRowsTest : public testing::Test {
 protected:
  bool map(std::string_view body) {
    record_.attributes.kind = journal::RecordKind::audit;
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

constexpr std::string_view entry =
    R"({"who":"nurse","roles":["auditor"],"what":"read","outcome":"ok","target":"GET /v1/vitals",)"
    R"("studyId":"T-1","siteId":"S-1","subject":"P-1","timestamp":"2026-03-01T07:15:30.000Z",)"
    R"("zone":"+01:00","rows":12,"times":2,"why":"query 17","detail":{"limit":5},"old":"a",)"
    R"("new":"b","origin":"http 127.0.0.1:1"})";

TEST_F(AuditRowsTest, every_member_has_its_column) {
  ASSERT_TRUE(map(entry));
  EXPECT_EQ(value("actor"), text("nurse"));
  EXPECT_EQ(value("roles"), text(R"(["auditor"])"));
  EXPECT_EQ(value("activity"), text("read"));
  EXPECT_EQ(value("outcome"), text("ok"));
  EXPECT_EQ(value("target"), text("GET /v1/vitals"));
  EXPECT_EQ(value("trial_id"), text("T-1"));
  EXPECT_EQ(value("site_id"), text("S-1"));
  EXPECT_EQ(value("patient_id"), text("P-1"));
  EXPECT_EQ(value("timestamp"), text("2026-03-01T07:15:30.000Z"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'772'349'330'000'000'000}));
  EXPECT_EQ(value("zone"), text("+01:00"));
  EXPECT_EQ(value("row_count"), Value(std::int64_t{12}));
  EXPECT_EQ(value("times"), Value(std::int64_t{2}));
  EXPECT_EQ(value("reason"), text("query 17"));
  EXPECT_EQ(value("detail"), text(R"({"limit":5})"));
  EXPECT_EQ(value("old_value"), text("a"));
  EXPECT_EQ(value("new_value"), text("b"));
  EXPECT_EQ(value("source"), text("http 127.0.0.1:1"));
}

TEST_F(AuditRowsTest, what_is_not_said_is_null_and_no_rows_are_a_number) {
  ASSERT_TRUE(map(R"({"what":"read","timestamp":"2026-03-01T07:15:30Z","rows":0})"));
  EXPECT_EQ(value("row_count"), Value(std::int64_t{0}));
  for (std::string_view column : {"actor", "roles", "trial_id", "patient_id", "times", "reason"}) {
    EXPECT_EQ(value(column), Value{}) << column;
  }
}

TEST_F(AuditRowsTest, what_is_no_entry_is_said_to_be_none_and_keeps_its_place_in_time) {
  EXPECT_FALSE(map(R"({"who":"nurse"})"));
  EXPECT_EQ(value("timestamp_ns"), Value(std::int64_t{1'770'000'000'000'000'000}));
  EXPECT_EQ(value("actor"), Value{});
}

TEST_F(AuditRowsTest, its_event_has_the_members_of_the_list_and_is_keyed_by_who) {
  storage::EventMapper events(make_rows());
  map(entry);
  ASSERT_TRUE(events.read(record_));
  EXPECT_EQ(events.key(), "nurse");
  std::string json;
  events.append_json(json);
  std::string members(entry);
  members.erase(0, 1);
  EXPECT_TRUE(json.contains(members.substr(0, members.size() - 1))) << json;
}

TEST(AuditList, is_for_auditors_alone) {
  EXPECT_EQ(audit_list().path, "/v1/audit");
  EXPECT_EQ(audit_list().role, "auditor");
}

}  // namespace
}  // namespace trialwire::audit
