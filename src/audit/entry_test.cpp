// SPDX-License-Identifier: Apache-2.0
#include "audit/entry.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include "audit/entry_reader.hpp"
#include "base/bytes.hpp"

namespace trialwire::audit {
namespace {

journal::Record record_of(const std::string& json) {
  journal::Record record;
  record.attributes.kind = journal::RecordKind::audit;
  record.bytes = as_bytes(json);
  return record;
}

Entry whole() {
  Entry entry;
  entry.who = "nurse \"N\"";
  entry.roles = {"auditor", "monitor"};
  entry.what = what_read;
  entry.target = "GET /v1/vitals";
  entry.study = "T-1";
  entry.site = "S-1";
  entry.subject = "P-1";
  entry.at_ns = 1'772'352'930'250'000'000;
  entry.zone = "+01:00";
  entry.rows = 0;
  entry.times = 3;
  entry.why = "müde\n";
  entry.detail = R"({"limit":5})";
  entry.old_value = "info";
  entry.new_value = "debug";
  entry.origin = "http 127.0.0.1:5123";
  return entry;
}

TEST(AuditEntry, is_read_back_as_it_was_written) {
  std::string json;
  append_json(json, whole());
  EXPECT_TRUE(
      json.starts_with(R"({"who":"nurse \"N\"","roles":["auditor","monitor"],"what":"read")"))
      << json;
  EntryReader reader;
  auto read = reader.read(record_of(json));
  ASSERT_TRUE(read) << read.error().text;
  EXPECT_EQ(read->who, "nurse \"N\"");
  EXPECT_EQ(read->roles, R"(["auditor","monitor"])");
  EXPECT_EQ(read->what, "read");
  EXPECT_EQ(read->outcome, "ok");
  EXPECT_EQ(read->target, "GET /v1/vitals");
  EXPECT_EQ(read->study, "T-1");
  EXPECT_EQ(read->site, "S-1");
  EXPECT_EQ(read->subject, "P-1");
  EXPECT_EQ(read->timestamp, "2026-03-01T08:15:30.250Z");
  EXPECT_EQ(read->at_ns, 1'772'352'930'250'000'000);
  EXPECT_EQ(read->zone, "+01:00");
  EXPECT_EQ(read->rows, 0);
  EXPECT_EQ(read->times, 3);
  EXPECT_EQ(read->why, "müde\n");
  EXPECT_EQ(read->detail, R"({"limit":5})");
  EXPECT_EQ(read->old_value, "info");
  EXPECT_EQ(read->new_value, "debug");
  EXPECT_EQ(read->origin, "http 127.0.0.1:5123");
}

TEST(AuditEntry, leaves_out_what_is_not_known) {
  Entry entry;
  entry.what = what_setting;
  std::string json;
  append_json(json, entry);
  EXPECT_EQ(json, R"({"what":"setting","outcome":"ok","timestamp":"1970-01-01T00:00:00.000Z"})");
  EntryReader reader;
  auto read = reader.read(record_of(json));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->rows, -1);
  EXPECT_EQ(read->who, "");
}

TEST(AuditEntry, cuts_a_long_value_at_a_character) {
  Entry entry = whole();
  for (std::size_t more = 0; more < 4; ++more) {
    entry.old_value = std::string(more, 'x');
    while (entry.old_value.size() < 2 * value_bytes_max) entry.old_value += "ü";
    std::string json;
    append_json(json, entry);
    EntryReader reader;
    auto read = reader.read(record_of(json));  // refuses what is not UTF-8
    ASSERT_TRUE(read) << read.error().text;
    EXPECT_LE(read->old_value.size(), value_bytes_max);
    EXPECT_GT(read->old_value.size(), value_bytes_max - 4);
    EXPECT_TRUE(read->old_value.ends_with("ü…"));
  }
}

TEST(AuditEntry, is_refused_when_it_is_none) {
  EntryReader reader;
  for (const char* json :
       {"", "[]", "{}", R"({"what":"read"})", R"({"timestamp":"2026-03-01T08:15:30Z"})",
        R"({"what":"read","timestamp":"yesterday"})",
        R"({"what":"read","timestamp":"2026-03-01T08:15:30Z","detail":"text"})",
        R"({"what":"read","timestamp":"2026-03-01T08:15:30Z"} more)"}) {
    const std::string text = json;
    auto read = reader.read(record_of(text));
    ASSERT_FALSE(read) << json;
    EXPECT_EQ(read.error().code, ErrorCode::corrupt);
  }
}

class ZoneTest : public testing::Test {
 protected:
  static void use(const char* zone) {
    ASSERT_EQ(::setenv("TZ", zone, 1), 0);
    ::tzset();
  }
  ~ZoneTest() override {
    ::unsetenv("TZ");
    ::tzset();
  }
};

TEST_F(ZoneTest, is_the_offset_of_local_time_then) {
  use("CET-1CEST,M3.5.0,M10.5.0/3");
  EXPECT_EQ(zone_at(1'772'352'930'000'000'000), "+01:00");  // March 1
  EXPECT_EQ(zone_at(1'782'864'000'000'000'000), "+02:00");  // July 1
  use("<-0330>3:30");
  EXPECT_EQ(zone_at(1'772'352'930'000'000'000), "-03:30");
  use("UTC0");
  EXPECT_EQ(zone_at(1'772'352'930'000'000'000), "+00:00");
}

}  // namespace
}  // namespace trialwire::audit
