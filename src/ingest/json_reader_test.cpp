// SPDX-License-Identifier: Apache-2.0
#include "ingest/json_reader.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <simdjson.h>

#include <string>

namespace trialwire::ingest {
namespace {

/// In memory of its own size, so that a sanitizer sees every read beyond the promised padding.
JsonFault skip(std::string_view text, std::size_t padding = 0, unsigned depth_max = 64) {
  std::vector<char> bytes(text.begin(), text.end());
  bytes.resize(text.size() + padding, '"');
  JsonReader reader({bytes.data(), text.size()}, padding, depth_max);
  if (reader.skip_value()) reader.at_end();
  return reader.fault();
}

TEST(JsonReader, takes_every_form_of_value) {
  for (std::string_view text :
       {"{}", "[]", "\"\"", "0", "-0", "1.5e+300", "123456789012345678901234567890", "true",
        "false", "null", " [ 1 , {\"a\" : [ ] } ,\t\"b\"\n] ",
        R"({"a":1,"b":{"c":[1,2]},"d":"\u00e9"})", R"("\"\\\/\b\f\n\r\t\u0000\ud83d\ude00")",
        "\"\x7f\""}) {
    for (std::size_t padding : {0, 1, 31, 64}) {
      EXPECT_EQ(skip(text, padding), JsonFault::none) << text;
    }
  }
}

TEST(JsonReader, names_what_is_wrong) {
  const std::pair<std::string_view, JsonFault> cases[] = {
      {"", JsonFault::end},
      {"{", JsonFault::end},
      {"[1", JsonFault::end},
      {"[1,", JsonFault::end},
      {"\"abc", JsonFault::end},
      {"\"\\u12", JsonFault::end},
      {"{\"a\"", JsonFault::end},
      {"{\"a\":", JsonFault::end},
      {"{\"a\":1,}", JsonFault::character},
      {"{a:1}", JsonFault::character},
      {"{\"a\" 1}", JsonFault::character},
      {"[1,]", JsonFault::character},
      {"[,1]", JsonFault::character},
      {"[1}", JsonFault::character},
      {"[1 2]", JsonFault::character},
      {"+1", JsonFault::character},
      {".5", JsonFault::character},
      {"'a'", JsonFault::character},
      {std::string_view("\0", 1), JsonFault::character},
      {"\"a\nb\"", JsonFault::control},
      {std::string_view("\"a\0b\"", 5), JsonFault::control},
      {"\"\\x41\"", JsonFault::escape},
      {"\"\\u12g4\"", JsonFault::escape},
      {"\"\\ud800\"", JsonFault::surrogate},
      {"\"\\ud800\\u0041\"", JsonFault::surrogate},
      {"\"\\udc00\"", JsonFault::surrogate},
      {"01", JsonFault::number},
      {"-", JsonFault::number},
      {"-01", JsonFault::number},
      {"1.", JsonFault::number},
      {"1.e5", JsonFault::number},
      {"1e", JsonFault::number},
      {"1e+", JsonFault::number},
      {"nul", JsonFault::literal},
      {"True", JsonFault::literal},
      {"NaN", JsonFault::literal},
      {"1 2", JsonFault::trailing},
      {"{}x", JsonFault::trailing},
      {"nullx", JsonFault::trailing},
      {std::string_view("1\0", 2), JsonFault::trailing},
  };
  for (auto [text, fault] : cases) {
    EXPECT_EQ(describe(skip(text)), describe(fault)) << text;
    EXPECT_EQ(describe(skip(text, 64)), describe(fault)) << text;
  }
}

TEST(JsonReader, refuses_what_is_nested_more_deeply_than_allowed) {
  std::string deep = std::string(64, '[') + std::string(64, ']');
  EXPECT_EQ(skip(deep), JsonFault::none);
  EXPECT_EQ(skip("[" + deep + "]"), JsonFault::depth);
  EXPECT_EQ(skip(std::string(1'000'000, '[')), JsonFault::depth);
  EXPECT_EQ(skip("[[],[],[]]", 0, 2), JsonFault::none) << "depth is given back";
}

TEST(JsonReader, says_of_a_string_how_it_is_written) {
  auto read = [](std::string_view text) {
    JsonReader reader(text, 0, 1);
    return reader.string();
  };
  EXPECT_TRUE(read("\"abc\"").plain);
  EXPECT_EQ(read("\"abc\"").raw, "abc");
  EXPECT_TRUE(static_cast<bool>(read("\"\"")));
  EXPECT_FALSE(read("\"a\x7f\"").plain);
  EXPECT_FALSE(read("\"\xc3\xa9\"").plain);
  EXPECT_TRUE(read("\"a\\n\"").escaped);
  EXPECT_FALSE(read("\"a\\n\"").plain);
  std::string across(100, 'x');
  EXPECT_TRUE(read("\"" + across + "\"").plain);
  EXPECT_FALSE(read("\"\x7f" + across + "\"").plain)
      << "seen in the block before the one it ends in";
  EXPECT_EQ(read("\"" + across + "\\u0041\"").raw.size(), 106u);
}

TEST(JsonReader, reads_again_what_a_short_way_had_run_past) {
  // The name goes beyond a block, and no colon follows where one is expected first.
  std::string name(100, 'n');
  std::string start = R"({"a":1,")" + name;
  EXPECT_EQ(skip(start + R"(" :2})"), JsonFault::none);
  EXPECT_EQ(skip(start + R"(" 2})"), JsonFault::character);
  EXPECT_EQ(skip(start), JsonFault::end);
  EXPECT_EQ(skip(start, 64), JsonFault::end);
  EXPECT_EQ(skip(start + R"(\q":2})"), JsonFault::escape);
}

/// Text that is nearly JSON: mostly valid pieces, so that faults come deep inside.
rc::Gen<std::string> nearly_json() {
  auto piece = rc::gen::element<std::string>(
      "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "\"\\ud83d\\ude00\"", "\"\\ud800\"", "0",
      "1.5", "-2e3", "01", "true", "null", "nul", " ", "\n", "\"", "\\", "\x01", "\"\xc3\xa9\"",
      "{\"k\":", "[1,2]", "\"long enough to go beyond a block of sixty-four bytes, as some do\"");
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(piece),
                      [](const std::vector<std::string>& pieces) {
                        std::string text;
                        for (const std::string& one : pieces) text += one;
                        return text;
                      });
}

RC_GTEST_PROP(JsonReader, agrees_with_simdjson_on_what_is_json, ()) {
  std::string text = *nearly_json();
  simdjson::dom::parser parser;
  auto result = parser.parse(text);
  bool accepted = result.error() == simdjson::SUCCESS;
  RC_ASSERT((skip(text) == JsonFault::none) == accepted);
  RC_ASSERT((skip(text, 64) == JsonFault::none) == accepted);
}

}  // namespace
}  // namespace trialwire::ingest
