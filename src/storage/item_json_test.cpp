// SPDX-License-Identifier: Apache-2.0
#include "storage/item_json.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace trialwire::storage {
namespace {

std::string member(ColumnType type, const Value& value) {
  std::string text = "{";
  append_member(text, {"column", type, false, "field", ""}, value);
  return text;
}

TEST(ItemJson, writes_each_type_as_json) {
  EXPECT_EQ(member(ColumnType::key_text, std::string_view("a\"b")), R"({"field":"a\"b")");
  EXPECT_EQ(member(ColumnType::json, std::string_view("[1, 2]")), R"({"field":[1, 2])");
  EXPECT_EQ(member(ColumnType::integer, std::numeric_limits<std::int64_t>::min()),
            R"({"field":-9223372036854775808)");
  EXPECT_EQ(member(ColumnType::real, 36.6), R"({"field":36.6)");
  EXPECT_EQ(member(ColumnType::real, 120.0), R"({"field":120)");
  EXPECT_EQ(member(ColumnType::real, 1e300), R"({"field":1e+300)");
}

TEST(ItemJson, leaves_out_null_and_columns_that_are_not_fields) {
  EXPECT_EQ(member(ColumnType::text, Value{}), "{");
  std::string text = R"({"a":1)";
  append_member(text, {"timestamp_ns", ColumnType::integer, true, "", ""}, std::int64_t{7});
  EXPECT_EQ(text, R"({"a":1)");
  append_member(text, {"b", ColumnType::integer, true, "b", ""}, std::int64_t{7});
  EXPECT_EQ(text, R"({"a":1,"b":7)");
}

TEST(ItemJson, names_the_bits_that_are_set) {
  constexpr std::string_view names[] = {"early", "", "late"};
  std::string text = "{";
  append_flags(text, 0, names);
  EXPECT_EQ(text, "{");
  append_flags(text, 1 | 2 | 4 | flag_undecodable, names);
  EXPECT_EQ(text, R"({"flags":["early","late","undecodable"])");
}

}  // namespace
}  // namespace trialwire::storage
