// SPDX-License-Identifier: Apache-2.0
#include "ingest/json_text.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace trialwire::ingest {
namespace {

TEST(JsonText, decodes_every_escape) {
  Scratch scratch;
  scratch.begin();
  JsonString string{R"(\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00z)", true, false};
  std::string expected = "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
  EXPECT_EQ(decode(string, scratch), expected);
  EXPECT_EQ(decoded_bytes(string), expected.size());
}

TEST(JsonText, keeps_decoded_text_while_more_is_decoded) {
  Scratch scratch;
  scratch.begin();
  std::vector<std::string_view> views;
  for (int i = 0; i < 5'000; ++i) views.push_back(decode({"\\u0041bcdefgh", true, false}, scratch));
  for (std::string_view view : views) ASSERT_EQ(view, "Abcdefgh");
}

TEST(JsonText, takes_an_integer_by_its_value) {
  const std::pair<std::string_view, std::int64_t> cases[] = {
      {"0", 0},
      {"-0", 0},
      {"0.0", 0},
      {"0e99999999999999999999", 0},
      {"7", 7},
      {"7.0", 7},
      {"7e0", 7},
      {"70e-1", 7},
      {"0.7e1", 7},
      {"0.07E+2", 7},
      {"-12.50e1", -125},
      {"1e18", 1'000'000'000'000'000'000},
      {"100000000000000000000000e-22", 10},
      {"10.000000000000000000000000000000", 10},
      {"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
      {"-9223372036854775808", std::numeric_limits<std::int64_t>::min()},
      {"9223372036854775.807e3", std::numeric_limits<std::int64_t>::max()},
  };
  for (auto [text, expected] : cases) {
    std::int64_t value = -1;
    EXPECT_EQ(parse_integer(text, value), IntegerForm::integer) << text;
    EXPECT_EQ(value, expected) << text;
  }
}

TEST(JsonText, rounds_a_real_to_the_nearest_double) {
  const std::pair<std::string_view, double> cases[] = {
      {"0", 0},
      {"-0.0", 0},
      {"36.6", 36.6},
      {"1e-400", 0},
      {"0.00000000000000000000000000000000000001e-300", 0},
      {"-5e-99999999999999999999", 0},
      {"0e99999999999999999999", 0},
      {"5e-324", 5e-324},
      {"1.7976931348623157e308", std::numeric_limits<double>::max()},
      {"9007199254740993", 9007199254740992.0},  // half-way: to even
      {"9007199254740993.0000001", 9007199254740994.0},
      {"0.1000000000000000055511151231257827021181583404541015625", 0.1},
      {"100000000000000000000000e-23", 1},
  };
  for (auto [text, expected] : cases) EXPECT_EQ(parse_real(text), expected) << text;
  EXPECT_EQ(parse_real(std::string(500, '1') + "e-499"), 1.1111111111111112);
}

TEST(JsonText, has_no_real_beyond_the_largest_double) {
  for (std::string_view text :
       {"1e400", "-1e400", "1.7976931348623159e308", "1e99999999999999999999"}) {
    EXPECT_FALSE(parse_real(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_real(std::string(400, '9')).has_value());
  EXPECT_FALSE(parse_real(std::string(1'000, '9') + "e-600").has_value());
}

TEST(JsonText, tells_a_fraction_from_what_is_too_large) {
  std::int64_t value = 0;
  for (std::string_view text : {"7.5", "0.1", "1e-1", "7.000000000000000000000000000001",
                                "123456789012345678901234567890.5", "1e-400", "5e-99999999999"}) {
    EXPECT_EQ(parse_integer(text, value), IntegerForm::fraction) << text;
  }
  for (std::string_view text :
       {"9223372036854775808", "-9223372036854775809", "1e19", "1e400", "18446744073709551616",
        "123456789012345678901234567890", "1e99999999999999999999", "10000000000000000000"}) {
    EXPECT_EQ(parse_integer(text, value), IntegerForm::out_of_range) << text;
  }
}

TEST(JsonText, finds_control_characters_of_both_ranges) {
  for (std::string_view text : {"a\x1f", "\x7f", "a\xc2\x80z", "\xc2\x9f"}) {
    EXPECT_TRUE(has_control_character(text));
  }
  for (std::string_view text : {"", "abc", "\xc2\xa0", "\xc3\x9f", "\xe2\x82\xac"}) {
    EXPECT_FALSE(has_control_character(text));
  }
}

TEST(JsonText, escapes_what_json_text_must_not_hold) {
  std::string out;
  append_escaped(out, std::string_view("a\"b\\c\n\0\xc3\xa9", 9));
  EXPECT_EQ(out, "a\\\"b\\\\c\\u000a\\u0000\xc3\xa9");
}

}  // namespace
}  // namespace trialwire::ingest
