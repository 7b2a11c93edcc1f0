// SPDX-License-Identifier: Apache-2.0
#include "epro/report.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "epro/report_decoder.hpp"

namespace trialwire::epro {
namespace {

constexpr std::int64_t second = 1'000'000'000;

Result<PatientReport> decode(std::string_view text, ingest::Scratch& scratch,
                             journal::ContentType type = journal::ContentType::json) {
  journal::Record record;
  record.attributes.content_type = type;
  record.attributes.received_ns = 42;
  record.bytes = as_bytes(text);
  return decode_stored(record, scratch);
}

TEST(StoredReport, comes_back_with_every_field) {
  ingest::Scratch scratch;
  auto report = decode(
      R"({"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30+01:00","qolScore":0,)"
      R"("comments":"a\nb","siteId":"S","reportId":"R","answers":{"Q1":3,"Q2":"x"},)"
      R"("instrument":"I","instrumentVersion":"2","visitId":"V","more":[1]})",
      scratch);
  ASSERT_TRUE(report.has_value()) << report.error().text;
  EXPECT_EQ(report->patient_id, "P-1");
  EXPECT_EQ(report->trial_id, "T-1");
  EXPECT_EQ(report->timestamp_text, "2026-03-01T08:15:30+01:00");
  EXPECT_EQ(report->timestamp.offset_minutes, 60);
  EXPECT_EQ(format_rfc3339_ms(report->timestamp.unix_ns), "2026-03-01T07:15:30.000Z");
  EXPECT_EQ(report->qol_score, 0);
  EXPECT_EQ(report->comments, "a\nb");
  EXPECT_EQ(report->site_id, "S");
  EXPECT_EQ(report->report_id, "R");
  EXPECT_EQ(report->answers, R"({"Q1":3,"Q2":"x"})");
  EXPECT_EQ(report->instrument, "I");
  EXPECT_EQ(report->instrument_version, "2");
  EXPECT_EQ(report->visit_id, "V");
  EXPECT_EQ(report->unknown_fields, 1u);
}

TEST(StoredReport, tells_absent_from_empty) {
  ingest::Scratch scratch;
  auto report = decode(
      R"({"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30Z","qolScore":7.0,)"
      R"("comments":"","siteId":null})",
      scratch);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->qol_score, 7);
  EXPECT_EQ(report->comments, "");
  EXPECT_FALSE(report->site_id.has_value());
  EXPECT_FALSE(report->visit_id.has_value());
  EXPECT_TRUE(report->answers.empty());
}

TEST(StoredReport, of_an_older_client_has_no_score_and_the_time_of_receipt) {
  ingest::Scratch scratch;
  auto report = decode(R"({"report_id":"R-1","patient_id":"P-\u0031","data":"fine"})", scratch,
                       journal::ContentType::json_legacy);
  ASSERT_TRUE(report.has_value()) << report.error().text;
  EXPECT_EQ(report->patient_id, "P-1");
  EXPECT_TRUE(report->trial_id.empty());
  EXPECT_FALSE(report->qol_score.has_value());
  EXPECT_EQ(report->instrument, "legacy");
  EXPECT_EQ(report->comments, "fine");
  EXPECT_EQ(report->timestamp.unix_ns, 42);
}

TEST(StoredReport, is_readable_whatever_the_limits_are_now) {
  ingest::Scratch scratch;
  std::string longest(100'000, 'x');
  auto report = decode(R"({"patientId":"P-1","trialId":"T","timestamp":"2026-03-01T08:15:30Z",)"
                       R"("qolScore":1,"comments":")" +
                           longest + R"(","visitId":")" + longest + "\"}",
                       scratch);
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->comments->size(), longest.size());
}

TEST(StoredReport, that_is_not_one_is_corrupt_and_the_error_holds_no_value) {
  ingest::Scratch scratch;
  for (std::string_view text :
       {"", "[]", "{", R"({"patientId":"SECRET"})", R"({"patientId":"SECRET","patientId":1})",
        "{\"patientId\":\"SECRET\xff\"}"}) {
    auto report = decode(text, scratch);
    ASSERT_FALSE(report.has_value()) << text;
    EXPECT_EQ(report.error().code, ErrorCode::corrupt);
    EXPECT_EQ(report.error().text.find("SECRET"), std::string::npos) << report.error().text;
  }
  EXPECT_FALSE(decode("{}", scratch, journal::ContentType::protobuf).has_value());
}

TEST(ReportFlags, mark_times_outside_five_minutes_and_thirty_days) {
  PatientReport report;
  report.trial_id = "T";
  constexpr std::int64_t now = 1'772'352'930 * second;
  auto at = [&](std::int64_t time) {
    report.timestamp.unix_ns = time;
    return flags_of(report, ReportLimits{}, now);
  };
  constexpr std::int64_t minutes = 60 * second, days = 86'400 * second;
  EXPECT_EQ(at(now), 0);
  EXPECT_EQ(at(now + 5 * minutes), 0);
  EXPECT_EQ(at(now + 5 * minutes + 1), timestamp_in_future);
  EXPECT_EQ(at(now - 30 * days), 0);
  EXPECT_EQ(at(now - 30 * days - 1), timestamp_in_past);
  EXPECT_EQ(at(std::numeric_limits<std::int64_t>::min()), timestamp_in_past);
  report.trial_id = {};
  EXPECT_EQ(at(now), unattributed);
}

TEST(StoredReport, what_was_accepted_before_it_was_refused_stays_readable) {
  ingest::Scratch scratch;
  auto report = decode(
      R"({"patientId":"P-1","trialId":"T-1","timestamp":"2026-03-01T08:15:30Z","qolScore":7,)"
      R"("answers":{"Q1":"a\u0000"},"more":{"a":1,"a":2}})",
      scratch);
  ASSERT_TRUE(report.has_value()) << report.error().text;
  EXPECT_EQ(report->answers, R"({"Q1":"a\u0000"})");
}

}  // namespace
}  // namespace trialwire::epro
