// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/page_writer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <boost/json.hpp>
#include <map>
#include <string>
#include <utility>
#include <variant>

#include "storage/sql/list_select.hpp"

namespace trialwire::storage {
namespace {

namespace json = boost::json;

constexpr SipKey key{1, 2};
constexpr std::array<std::string_view, 2> flags{"early", ""};
constexpr ListShape vitals{"vital_signs", {}, flags};

/// By column of the table; what is not there is NULL.
class FakeRow final : public ListRow {
 public:
  FakeRow(std::int64_t id, std::map<std::string_view, Value> values)
      : id_(id), values_(std::move(values)) {}
  bool is_null(int column) const override { return value(column) == Value{}; }
  std::int64_t integer(int column) const override {
    if (column == list_row_id || column == list_sequence) return id_;
    if (column == list_timestamp_ns) return id_ * 1'000;
    if (column == list_flags) return flags;
    return std::get<std::int64_t>(value(column));
  }
  double real(int column) const override { return std::get<double>(value(column)); }
  std::string_view text(int column) const override {
    if (column == list_record_id) return "id";
    if (column == list_received_at) return "2026-03-01T07:15:30.250Z";
    return std::get<std::string_view>(value(column));
  }
  std::int64_t flags = 0;

 private:
  Value value(int column) const {
    const RecordColumn* of =
        list_fields(*find_record_table("vital_signs"))[static_cast<std::size_t>(column - 6)];
    auto found = values_.find(of->name);
    return found == values_.end() ? Value{} : found->second;
  }

  std::int64_t id_;
  std::map<std::string_view, Value> values_;
};

TEST(PageWriter, every_type_of_column_has_its_form) {
  PageWriter writer(vitals, {}, 1 << 20);
  FakeRow row(5, {{"device_id", std::string_view("D \"1\"")},
                  {"device_sequence", std::int64_t{-3}},
                  {"temperature", 36.6},
                  {"weight", 1e22},
                  {"collected", std::string_view(R"({"weight":{"value":1,"unit":"[lb_av]"}})")}});
  row.flags = 1 | flag_undecodable;
  EXPECT_TRUE(writer.add(row));
  ListPage page = writer.finish(key);
  EXPECT_EQ(page.items, 1U);
  json::value item = json::parse(page.json).at("items").at(0);
  EXPECT_EQ(item.at("recordId").as_string(), "id");
  EXPECT_EQ(item.at("sequence").as_int64(), 5);
  EXPECT_EQ(item.at("deviceId").as_string(), "D \"1\"");
  EXPECT_EQ(item.at("temperature").as_double(), 36.6);
  EXPECT_EQ(item.at("weight").as_double(), 1e22);
  EXPECT_EQ(item.at("collected").at("weight").at("unit").as_string(), "[lb_av]");
  EXPECT_EQ(item.at("flags"), (json::array{"early", "undecodable"}));
  EXPECT_FALSE(item.as_object().contains("heartRate"));
  EXPECT_TRUE(page.json.ends_with("],\"next\":null}"));
}

TEST(PageWriter, a_full_page_says_where_the_next_one_begins) {
  ListFilter filter{.limit = 2};
  PageWriter writer(vitals, filter, 1 << 20);
  EXPECT_TRUE(writer.add(FakeRow(1, {})));
  EXPECT_TRUE(writer.add(FakeRow(2, {})));
  EXPECT_FALSE(writer.add(FakeRow(3, {})));
  ListPage page = writer.finish(key);
  EXPECT_EQ(page.items, 2U);
  filter.cursor = json::parse(page.json).at("next").as_string();
  auto begin = page_begin(vitals, filter, key);
  ASSERT_TRUE(begin);
  EXPECT_EQ(*begin, (PagePosition{2'000, 2}));
}

TEST(PageWriter, a_page_ends_when_it_is_large_but_has_an_item) {
  PageWriter writer(vitals, {}, 12);
  EXPECT_TRUE(writer.add(FakeRow(1, {})));
  EXPECT_FALSE(writer.add(FakeRow(2, {})));
}

TEST(PageWriter, a_cursor_of_another_list_or_database_is_refused) {
  ListShape reports{"epro_reports", {}, {}};
  ListFilter filter;
  filter.cursor = encode_page_cursor({1, 2}, list_key(key, vitals));
  EXPECT_TRUE(page_begin(vitals, filter, key));
  for (auto begin : {page_begin(reports, filter, key), page_begin(vitals, filter, {1, 3})}) {
    ASSERT_FALSE(begin);
    EXPECT_EQ(begin.error().code, ErrorCode::invalid_argument);
  }
}

TEST(PageWriter, reports_keep_the_cursors_that_they_have_always_had) {
  EXPECT_EQ(list_key(key, {"epro_reports", {}, {}}).k1, key.k1);
}

TEST(PageWriter, a_limit_out_of_range_is_refused) {
  for (std::uint32_t limit : {0U, list_limit_max + 1}) {
    auto begin = page_begin(vitals, {.limit = limit}, key);
    ASSERT_FALSE(begin);
    EXPECT_EQ(begin.error().code, ErrorCode::invalid_argument);
  }
}

}  // namespace
}  // namespace trialwire::storage
