// SPDX-License-Identifier: Apache-2.0
#include "query/list_filter.hpp"

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "storage/page_cursor.hpp"

namespace trialwire::query {
namespace {

using storage::ListFilter;

constexpr std::array<storage::ListParameter, 2> parameters{
    {{"patientId", "patient_id"}, {"trialId", "trial_id"}}};
constexpr storage::ListShape reports{"epro_reports", parameters, {}};

class ListFilterTest : public testing::Test {
 protected:
  ListFilter parse(std::string_view text) { return parse_list_filter(text, reports, errors); }
  std::string problems() {
    std::string text;
    errors.append_json(text);
    return text;
  }
  /// Of the filter: what the column is compared with.
  static std::optional<std::string> equal(const ListFilter& filter, std::string_view column) {
    for (const auto& one : filter.equal) {
      if (one.column == column) return one.value;
    }
    return std::nullopt;
  }
  ingest::FieldErrors errors{20};
};

const std::string some_cursor = storage::encode_page_cursor({1, 2}, {3, 4});

TEST_F(ListFilterTest, no_parameters_ask_for_the_first_hundred_of_all) {
  ListFilter filter = parse("");
  EXPECT_TRUE(errors.empty());
  EXPECT_EQ(filter.limit, 100U);
  EXPECT_FALSE(!filter.equal.empty() || filter.since_ns || filter.until_ns);
  EXPECT_EQ(filter.cursor, "");
}

TEST_F(ListFilterTest, every_parameter_is_understood) {
  ListFilter filter = parse(
      "patientId=P%201&trialId=T+1&since=2026-03-01T08:15:30%2B01:00&until=2026-03-02T00:00:00Z"
      "&limit=7&cursor=" +
      some_cursor);
  EXPECT_TRUE(errors.empty()) << problems();
  EXPECT_EQ(equal(filter, "patient_id"), "P 1");
  EXPECT_EQ(equal(filter, "trial_id"), "T 1");
  EXPECT_EQ(filter.since_ns, 1'772'349'330'000'000'000);
  EXPECT_EQ(filter.until_ns, 1'772'409'600'000'000'000);
  EXPECT_EQ(filter.limit, 7U);
  EXPECT_EQ(filter.cursor, some_cursor);
}

TEST_F(ListFilterTest, a_plus_in_a_time_that_was_typed_as_such_is_an_offset) {
  EXPECT_EQ(parse("since=2026-03-01T08:15:30+01:00").since_ns, 1'772'349'330'000'000'000);
  EXPECT_TRUE(errors.empty()) << problems();
}

TEST_F(ListFilterTest, all_that_is_wrong_is_said_at_once_and_nothing_is_repeated) {
  parse("patientId=&trialId=" + std::string(65, 'x') +
        "&since=yesterday&until=2026-03-02&limit=1001&cursor=&limit=5&secret%20Name=1");
  EXPECT_EQ(errors.total(), 8U) << problems();
  std::string text = problems();
  for (const char* part : {"patientId", "trialId", "since", "until", "limit", "cursor", "query",
                           "length", "format", "range", "duplicate", "unknown"}) {
    EXPECT_TRUE(text.contains(part)) << part << text;
  }
  for (const char* sent : {"yesterday", "xxx", "1001", "secret"}) {
    EXPECT_FALSE(text.contains(sent)) << sent << text;
  }
}

TEST_F(ListFilterTest, a_cursor_that_cannot_be_one_is_named_with_the_others) {
  for (std::string wrong : {std::string("zzz"), std::string(300, 'a'), some_cursor + "A",
                            some_cursor.substr(1) + "%2B", some_cursor.substr(1) + "="}) {
    errors.clear();
    parse("limit=0&cursor=" + wrong);
    EXPECT_EQ(errors.total(), 2U) << wrong;
    EXPECT_TRUE(problems().contains(R"("field":"limit")")) << wrong;
    EXPECT_TRUE(problems().contains(R"("field":"cursor","rule":"format")")) << wrong;
  }
}

TEST_F(ListFilterTest, ids_are_measured_in_characters) {
  std::string longest;
  for (int i = 0; i < 64; ++i) longest += "\xF0\x9F\xA9\xBA";
  EXPECT_EQ(equal(parse("patientId=" + longest), "patient_id"), longest);
  EXPECT_TRUE(errors.empty()) << problems();
  parse("patientId=x" + longest);
  EXPECT_TRUE(problems().contains("must be 1 to 64 characters")) << problems();
}

TEST_F(ListFilterTest, what_no_database_takes_as_text_is_refused) {
  parse("patientId=a%00b&trialId=%ff");
  EXPECT_EQ(errors.total(), 2U) << problems();
  EXPECT_TRUE(problems().contains("must be UTF-8 without U+0000")) << problems();
}

TEST_F(ListFilterTest, a_parameter_of_another_list_is_unknown_and_those_of_this_one_are_named) {
  parse("deviceId=D-1");
  EXPECT_TRUE(problems().contains("not one of patientId, trialId, since, until, limit, cursor"))
      << problems();
}

TEST_F(ListFilterTest, a_time_out_of_range_is_told_the_range) {
  parse("since=9999-01-01T00:00:00Z");
  EXPECT_TRUE(
      problems().contains(R"("rule":"range","message":"must be in the years 1678 to 2261")"))
      << problems();
}

TEST_F(ListFilterTest, limits_are_whole_numbers_in_range) {
  for (const char* wrong : {"0", "-1", "1001", "1e2", "5.0", " 5", "5 ", "", "99999999999"}) {
    errors.clear();
    parse(fmt::format("limit={}", wrong));
    EXPECT_EQ(errors.total(), 1U) << wrong;
  }
  errors.clear();
  EXPECT_EQ(parse("limit=1").limit, 1U);
  EXPECT_EQ(parse("limit=1000").limit, 1000U);
  EXPECT_TRUE(errors.empty());
}

TEST_F(ListFilterTest, a_period_that_ends_before_it_begins_is_wrong) {
  parse("since=2026-03-02T00:00:00Z&until=2026-03-01T00:00:00Z");
  EXPECT_EQ(errors.total(), 1U);
  EXPECT_TRUE(problems().contains("must be after since"));
}

TEST_F(ListFilterTest, broken_pairs_and_encodings_do_no_harm) {
  for (const char* text : {"&", "&&=&", "=", "%", "limit", "limit=%", "limit=%zz", "%00=1", "a=b=c",
                           "patientId=%f", "cursor=%"}) {
    errors.clear();
    parse(text);
    if (std::string_view(text) != "&") EXPECT_FALSE(errors.empty()) << text;
  }
}

}  // namespace
}  // namespace trialwire::query
