// SPDX-License-Identifier: Apache-2.0
#include "loadgen/csv_mapping.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace trialwire::loadgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Csv, reads_quotes_line_ends_and_empty_lines_as_rfc_4180_has_them) {
  const auto table = parse_csv(
      "\xef\xbb\xbf"
      "A,B\r\n1,\"x, \"\"y\"\"\nz\"\r\n\n,2");
  ASSERT_TRUE(table) << table.error().text;
  EXPECT_THAT(table->columns, ElementsAre("A", "B"));
  EXPECT_THAT(table->rows, ElementsAre(ElementsAre("1", "x, \"y\"\nz"), ElementsAre("", "2")));
}

TEST(Csv, names_the_line_that_is_wrong) {
  EXPECT_THAT(parse_csv("A,B\n1,2\n3\n").error().text, HasSubstr("line 3: 1 cells"));
  EXPECT_THAT(parse_csv("A\n\"1").error().text, HasSubstr("line 2: a quote stays open"));
  EXPECT_THAT(parse_csv("A\n\"1\"2\n").error().text, HasSubstr("follows a closing quote"));
  EXPECT_THAT(parse_csv("").error().text, HasSubstr("no header"));
}

CsvTable answers() {
  return *parse_csv(
      "USUBJID,QSTESTCD,QSORRES,QSSTRESN,QSDTC\n"
      "01-701,VFQ101,POOR,3,2014-01-02\n"
      "01-701,VFQ111,\"NO \"\"REAL\"\" DIFFICULTY\",,2014-01-02\n");
}

std::vector<std::string> bodies(std::string_view mapping) {
  auto records = map_rows(answers(), mapping, {.run = "5f2a9c01"});
  std::vector<std::string> out;
  if (!records) return {records.error().text};
  for (const auto& record : *records) out.push_back(record.body);
  return out;
}

TEST(CsvMapping, maps_columns_constants_and_templates) {
  EXPECT_THAT(
      bodies("patientId=USUBJID,trialId=:CDISCPILOT01,timestamp={QSDTC}T00:00:00Z,"
             "qolScore=QSSTRESN,answers.{QSTESTCD}=QSORRES"),
      ElementsAre(
          R"({"patientId":"01-701","trialId":"CDISCPILOT01","timestamp":"2014-01-02T00:00:00Z",)"
          R"("qolScore":3,"answers":{"VFQ101":"POOR"}})",
          R"({"patientId":"01-701","trialId":"CDISCPILOT01","timestamp":"2014-01-02T00:00:00Z",)"
          R"("answers":{"VFQ111":"NO \"REAL\" DIFFICULTY"}})"));
}

TEST(CsvMapping, numbers_stay_text_in_fields_that_are_text) {
  EXPECT_THAT(bodies("patientId=QSSTRESN,x=QSSTRESN,a=:01,b=:-0.5e3,c=:1.,d=:-"),
              ElementsAre(R"({"patientId":"3","x":3,"a":"01","b":-0.5e3,"c":"1.","d":"-"})",
                          R"({"a":"01","b":-0.5e3,"c":"1.","d":"-"})"));
}

TEST(CsvMapping, leading_zeros_go_where_a_number_is_wanted_and_stay_elsewhere) {
  EXPECT_THAT(bodies("temperature=:097.8,weight=:000,height=:00.5,siteId=:007,sequence=:010,x=:01"),
              ElementsAre(R"({"temperature":97.8,"weight":0,"height":0.5,"siteId":"007",)"
                          R"("sequence":10,"x":"01"})",
                          R"({"temperature":97.8,"weight":0,"height":0.5,"siteId":"007",)"
                          R"("sequence":10,"x":"01"})"));
}

TEST(CsvMapping, row_number_and_run_make_ids_of_their_own) {
  const auto records = map_rows(answers(), "reportId={run}-{#}", {.run = "5f2a9c01"});
  ASSERT_TRUE(records) << records.error().text;
  EXPECT_EQ(records->at(1).report_id, "5f2a9c01-2");
  EXPECT_EQ(records->at(1).body, R"({"reportId":"5f2a9c01-2"})");
}

TEST(CsvMapping, an_entry_may_be_for_the_rows_of_one_value_alone) {
  const auto table = parse_csv(
      "USUBJID,VSSEQ,VSTESTCD,VSORRES,VSORRESU\n"
      "01-701,1,SYSBP,131,mmHg\n"
      "01-701,2,TEMP,96.9,F\n"
      "01-701,3,SPO2,0.97,1\n"
      "01-701,4,SYSBP,,\n");
  constexpr std::string_view mapping =
      "deviceId=USUBJID,sequence=VSSEQ,systolic=VSORRES?VSTESTCD=SYSBP,"
      "temperature=VSORRES?VSTESTCD=TEMP,bloodOxygen=VSORRES?VSTESTCD=SPO2,"
      "units.systolic=VSORRESU?VSTESTCD=SYSBP,units.temperature=VSORRESU?VSTESTCD=TEMP,"
      "units.bloodOxygen=VSORRESU?VSTESTCD=SPO2";
  std::vector<std::string> made;
  for (const auto& record : *map_rows(*table, mapping, {.run = "5f2a9c01"})) {
    made.push_back(record.body);
  }
  EXPECT_THAT(
      made,
      ElementsAre(
          R"({"deviceId":"01-701","sequence":1,"systolic":131,"units":{"systolic":"mmHg"}})",
          R"({"deviceId":"01-701","sequence":2,"temperature":96.9,"units":{"temperature":"F"}})",
          R"({"deviceId":"01-701","sequence":3,"bloodOxygen":0.97,"units":{"bloodOxygen":"1"}})",
          R"({"deviceId":"01-701","sequence":4})"));
}

TEST(CsvMapping, says_which_entry_or_column_is_wrong) {
  EXPECT_THAT(bodies("patientId=SUBJECT"),
              ElementsAre(HasSubstr("no column 'SUBJECT'; the file has USUBJID, QSTESTCD")));
  EXPECT_THAT(bodies("patientId"), ElementsAre(HasSubstr("'patientId' is not FIELD=COLUMN")));
  EXPECT_THAT(bodies("a={QSDTC"), ElementsAre(HasSubstr("{ is not closed")));
  EXPECT_THAT(bodies("a=QSDTC?QSX=1"), ElementsAre(HasSubstr("no column 'QSX'")));
  EXPECT_THAT(bodies("a=QSDTC?QSDTC"), ElementsAre(HasSubstr("'?QSDTC' is not ?COLUMN=VALUE")));
  EXPECT_THAT(bodies(""), ElementsAre(HasSubstr("empty")));
}

TEST(CsvMapping, control_characters_are_escaped) {
  EXPECT_EQ(json_string("a\n\"\\\x01"), R"("a\u000a\"\\\u0001")");
}

}  // namespace
}  // namespace trialwire::loadgen
