// SPDX-License-Identifier: Apache-2.0
#include "loadgen/request_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "loadgen/gzip.hpp"
#include "loadgen/record_file.hpp"

namespace trialwire::loadgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

GeneratedOptions options() {
  return {.shape = {.host = "h:1", .path = "/p"},
          .run = "5f2a9c01",
          .timestamp = "2025-03-01T08:15:30.000Z",
          .burst_max = 4};
}

// The bodies of pipelined requests, each checked to be as long as its head says.
std::vector<std::string> bodies(std::string_view bytes) {
  std::vector<std::string> out;
  while (!bytes.empty()) {
    const auto head_end = bytes.find("\r\n\r\n");
    const auto length_at = bytes.find("Content-Length: ") + 16;
    const auto length = std::stoul(std::string(bytes.substr(length_at, 10)));
    out.emplace_back(bytes.substr(head_end + 4, length));
    EXPECT_EQ(out.back().size(), length);
    bytes.remove_prefix(head_end + 4 + length);
  }
  return out;
}

TEST(GeneratedSource, a_report_has_all_mandatory_fields_comments_and_two_answers) {
  auto source = generated_source(options());
  const auto burst = source->take(1);
  ASSERT_EQ(burst.requests, 1U);
  EXPECT_THAT(std::string(burst.bytes),
              HasSubstr("POST /p HTTP/1.1\r\nHost: h:1\r\nContent-Type: application/json\r\n"));
  EXPECT_THAT(
      bodies(burst.bytes),
      ElementsAre(
          R"({"patientId":"P-00000","trialId":"ONC-2031","timestamp":"2025-03-01T08:15:30.000Z",)"
          R"("qolScore":0,"comments":"Slept well, mild nausea at noon.",)"
          R"("reportId":"5f2a9c01-000000000000","answers":{"MOBILITY":2,"PAIN":"slight"}})"));
  EXPECT_NEAR(source->report_bytes(), 220, 10);
}

TEST(GeneratedSource, records_of_other_kinds_have_what_makes_each_one_of_its_own) {
  const std::pair<RecordKind, std::string_view> cases[] = {
      {RecordKind::qol,
       R"({"patient_id":"P-00007","question_id":"Q-5f2a9c01-000000000007","answer":7,)"
       R"("submit_time":"2025-03-01T08:15:30.000Z","trial_id":"ONC-2031",)"
       R"("instrument":"EORTC QLQ-C30","visit_id":"WEEK 4"})"},
      {RecordKind::vital,
       R"({"deviceId":"5f2a9c01-00007","timestamp":"2025-03-01T08:15:30.000Z","heartRate":77,)"
       R"("bloodOxygen":97,"systolic":121,"diastolic":78,"temperature":98.4,)"
       R"("units":{"temperature":"[degF]","heartRate":"BEATS/MIN"},"patientId":"P-00001",)"
       R"("trialId":"ONC-2031","sequence":1000000000007})"},
      {RecordKind::metric,
       R"({"metricId":"SUBJECTS_ENROLLED","studyId":"ONC-2031","siteId":"S-00007","value":47.25,)"
       R"("timestamp":"2025-03-01T08:15:30.000Z","annotations":["weekly count, checked by hand",)"
       R"("5f2a9c01-000000000007"]})"},
  };
  for (const auto& [kind, body] : cases) {
    auto made = options();
    made.kind = kind;
    made.first = 7;
    EXPECT_THAT(bodies(generated_source(made)->take(1).bytes), ElementsAre(body));
  }
}

TEST(GeneratedSource, a_kind_is_known_by_its_name_and_has_its_path) {
  EXPECT_EQ(default_path(*parse_kind("report")), "/v1/epro/reports");
  EXPECT_EQ(default_path(*parse_kind("qol")), "/v1/epro/qol");
  EXPECT_EQ(default_path(*parse_kind("vital")), "/v1/vitals");
  EXPECT_EQ(default_path(*parse_kind("metric")), "/v1/metrics");
  EXPECT_FALSE(parse_kind("reports"));
}

TEST(GeneratedSource, no_report_id_comes_twice_and_each_is_named_by_its_request_number) {
  auto made = options();
  made.first = 8;
  auto source = generated_source(made);
  std::set<std::string> seen;
  for (const unsigned wanted : {1U, 4U, 3U, 9U, 2U}) {
    const auto burst = source->take(wanted);
    EXPECT_EQ(burst.requests, std::min(wanted, 4U));
    const auto reports = bodies(burst.bytes);
    ASSERT_EQ(reports.size(), burst.requests);
    for (unsigned i = 0; i < burst.requests; ++i) {
      const auto ids = source->report_ids(burst.number + i);
      EXPECT_THAT(ids, ElementsAre(find_report_id(reports[i])));
      EXPECT_TRUE(seen.insert(ids.front()).second);
    }
  }
  EXPECT_TRUE(seen.contains("5f2a9c01-000000000010"));
}

TEST(GeneratedSource, ndjson_bodies_hold_as_many_reports_as_asked_for) {
  auto made = options();
  made.shape.ndjson = 3;
  auto source = generated_source(made);
  source->take(1);
  const auto burst = source->take(2);
  const auto last = bodies(burst.bytes).at(1);
  EXPECT_EQ(std::ranges::count(last, '\n'), 3);
  EXPECT_THAT(
      source->report_ids(burst.number + 1),
      ElementsAre("5f2a9c01-000000000006", "5f2a9c01-000000000007", "5f2a9c01-000000000008"));
  EXPECT_THAT(last, HasSubstr("5f2a9c01-000000000008"));
  EXPECT_EQ(source->reports_in(0), 3U);
}

TEST(GeneratedSource, compressed_bodies_inflate_to_the_reports) {
  auto made = options();
  made.shape.gzip = true;
  auto source = generated_source(made);
  source->take(1);
  const auto burst = source->take(4);
  EXPECT_EQ(burst.requests, 1U);
  EXPECT_THAT(std::string(burst.bytes), HasSubstr("Content-Encoding: gzip\r\n"));
  const auto text = gunzip(bodies(burst.bytes).at(0), 1000);
  ASSERT_TRUE(text) << text.error().text;
  EXPECT_EQ(find_report_id(*text), "5f2a9c01-000000000001");
}

TEST(RecordSource, sends_records_in_order_and_starts_over) {
  const std::vector<FileRecord> records{{R"({"a":1})", "r1"}, {R"({"a":2})", "r2"}, {"{}", ""}};
  auto source = record_source(records, {.host = "h", .path = "/p"}, 8);
  ASSERT_TRUE(source);
  EXPECT_THAT(bodies((*source)->take(1).bytes), ElementsAre(R"({"a":1})"));
  const auto burst = (*source)->take(3);
  EXPECT_EQ(burst.number, 1U);
  EXPECT_THAT(bodies(burst.bytes), ElementsAre(R"({"a":2})", "{}", R"({"a":1})"));
  EXPECT_THAT((*source)->report_ids(4), ElementsAre("r2"));
  EXPECT_FALSE(record_source({}, {}, 1));
}

TEST(RecordSource, groups_lines_into_bodies) {
  const std::vector<FileRecord> records{{"{1}", "a"}, {"{2}", "b"}, {"{3}", "c"}};
  auto source = record_source(records, {.host = "h", .path = "/p", .ndjson = 2}, 8);
  ASSERT_TRUE(source);
  EXPECT_THAT(bodies((*source)->take(2).bytes), ElementsAre("{1}\n{2}\n", "{3}\n"));
  EXPECT_EQ((*source)->reports_in(1), 1U);
}

class RecordFile : public ::testing::Test {
 protected:
  std::string write(std::string_view bytes) const {
    std::ofstream(path_, std::ios::binary) << bytes;
    return path_;
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_ = ::testing::TempDir() + "loadgen_records_" + std::to_string(::getpid());
};

TEST_F(RecordFile, lines_are_records_and_blank_ones_are_not) {
  const auto records =
      read_records({.path = write("{\"reportId\" : \"a\"}\r\n\n  \n{\"reportId\":7}"),
                    .mapping = {},
                    .run = {}});
  ASSERT_TRUE(records) << records.error().text;
  ASSERT_EQ(records->size(), 2U);
  EXPECT_EQ(records->at(0).body, "{\"reportId\" : \"a\"}");
  EXPECT_EQ(records->at(0).report_id, "a");
  EXPECT_EQ(records->at(1).report_id, "");
}

TEST_F(RecordFile, a_gzip_file_of_several_members_is_read_whole) {
  const auto records =
      read_records({.path = write(gzip("A\n1\n") + gzip("2\n")), .mapping = "x=A", .run = {}});
  ASSERT_TRUE(records) << records.error().text;
  EXPECT_EQ(records->at(1).body, R"({"x":2})");
}

TEST_F(RecordFile, errors_name_the_file) {
  EXPECT_THAT(read_records({.path = "/nonexistent", .mapping = {}, .run = {}}).error().text,
              HasSubstr("cannot open /nonexistent"));
  EXPECT_THAT(read_records({.path = write("\n"), .mapping = {}, .run = {}}).error().text,
              HasSubstr("holds no record"));
  const auto cut = gzip("a longer text, so that cutting it off loses some").substr(0, 30);
  EXPECT_THAT(read_records({.path = write(cut), .mapping = {}, .run = {}}).error().text,
              HasSubstr(path_ + " is"));
  EXPECT_THAT(read_records({.path = write(gzip(std::string(5000, 'a'))),
                            .mapping = {},
                            .run = {},
                            .bytes_max = 4999})
                  .error()
                  .text,
              HasSubstr("too large"));
}

}  // namespace
}  // namespace trialwire::loadgen
