// SPDX-License-Identifier: Apache-2.0
#include "storage/json_text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json/parse.hpp>

namespace trialwire::storage {
namespace {

std::string json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(JsonText, plain_text_and_utf8_pass_unchanged) {
  EXPECT_EQ(json("müde, 😴"), "\"müde, 😴\"");
  EXPECT_EQ(json(""), "\"\"");
}

TEST(JsonText, quotes_backslashes_and_control_characters_are_escaped) {
  EXPECT_EQ(json("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(json("\n\r\t"), R"("\n\r\t")");
  EXPECT_EQ(json(std::string_view("\0\x1f\x7f", 3)), "\"\\u0000\\u001f\x7f\"");
}

RC_GTEST_PROP(JsonText, a_parser_reads_back_what_was_written, ()) {
  auto text = *rc::gen::container<std::string>(rc::gen::inRange<char>(0, 127));
  RC_ASSERT(std::string(boost::json::parse(json(text)).as_string()) == text);
}

}  // namespace
}  // namespace trialwire::storage
