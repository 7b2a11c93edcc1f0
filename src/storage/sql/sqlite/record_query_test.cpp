// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/record_query.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <stop_token>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "storage/sql/list_select.hpp"
#include "storage/sql/sqlite/test_reports.hpp"

namespace trialwire::storage::sqlite {
namespace {

using test::OtherProgram;
namespace json = boost::json;

constexpr std::array<ListParameter, 2> parameters{
    {{"patientId", "patient_id"}, {"trialId", "trial_id"}}};
constexpr std::array<std::string_view, 3> flag_names{"timestamp_in_future", "", "unattributed"};
constexpr ListShape reports{"epro_reports", parameters, flag_names};

class RecordQueryTest : public testing::Test {
 protected:
  RecordQueryTest() {
    query_options.path = database_options.path = directory / "trialwire.db";
    sink = test::make_test_sink(database_options, metrics);
    query = make_record_query(query_options);
  }
  journal::Record& add(std::string body) { return deliveries.add(std::move(body), ++identity); }
  void store() {
    ASSERT_TRUE(deliveries.to(*sink));
    deliveries.clear();
  }
  json::value page(const ListFilter& filter, const Principal& principal) {
    auto result = query->list(principal, reports, filter, {});
    EXPECT_TRUE(result) << result.error().text;
    json::value value = json::parse(result->json);
    EXPECT_EQ(value.at("items").as_array().size(), result->items);
    return value;
  }
  json::value page(const ListFilter& filter = {}) { return page(filter, Principal::anonymous()); }
  std::vector<std::string> patients(const json::value& of_page) {
    std::vector<std::string> ids;
    for (const json::value& item : of_page.at("items").as_array()) {
      ids.emplace_back(item.at("patientId").as_string());
    }
    return ids;
  }
  using Ids = std::vector<std::string>;

  test::TemporaryDirectory directory;
  DatabaseOptions database_options;
  RecordQueryOptions query_options;
  telemetry::Registry metrics;
  std::unique_ptr<pipeline::Sink> sink;
  std::unique_ptr<RecordQuery> query;
  test::Deliveries deliveries{Uuid::random()};
  std::uint64_t identity = 0;
};

TEST_F(RecordQueryTest, an_item_has_every_field_and_what_the_journal_knows) {
  journal::Record& record = add("P-\"1\" T-1 1700000000 S-1");
  record.attributes.flags = 1 | 4;
  std::string received = format_rfc3339_ms(record.attributes.received_ns);
  store();
  json::value item = page().at("items").at(0);
  EXPECT_EQ(item.at("patientId").as_string(), "P-\"1\"");
  EXPECT_EQ(item.at("trialId").as_string(), "T-1");
  EXPECT_EQ(item.at("siteId").as_string(), "S-1");
  EXPECT_EQ(item.at("timestamp").as_string(), "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(item.at("sequence").as_int64(), 1);
  EXPECT_EQ(item.at("recordId").as_string().size(), 36U);
  EXPECT_EQ(std::string(item.at("receivedAt").as_string()), received);
  EXPECT_EQ(item.at("answers").at("pain").as_int64(), 3);
  EXPECT_EQ(item.at("flags"), (json::array{"timestamp_in_future", "unattributed"}));
  for (const char* absent : {"comments", "reportId", "qolScore", "visitId", "instrument"}) {
    EXPECT_FALSE(item.as_object().contains(absent)) << absent;
  }
}

TEST_F(RecordQueryTest, an_undecodable_record_is_listed_as_such) {
  add("nonsense");
  store();
  json::value item = page().at("items").at(0);
  EXPECT_EQ(item.at("flags"), (json::array{"undecodable"}));
  EXPECT_FALSE(item.as_object().contains("patientId"));
}

TEST_F(RecordQueryTest, filters_narrow_and_combine) {
  add("P-1 T-1 1000");
  add("P-2 T-1 2000");
  add("P-1 T-2 3000");
  add("P-2 T-2 4000");
  store();
  constexpr std::int64_t second = 1'000'000'000;
  EXPECT_EQ(patients(page({.equal = {{"patient_id", "P-1"}}})), (Ids{"P-1", "P-1"}));
  EXPECT_EQ(patients(page({.equal = {{"trial_id", "T-2"}}})), (Ids{"P-1", "P-2"}));
  EXPECT_EQ(patients(page({.equal = {{"patient_id", "P-2"}, {"trial_id", "T-2"}}})), (Ids{"P-2"}));
  EXPECT_EQ(patients(page({.since_ns = 2'000 * second, .until_ns = 4'000 * second})),
            (Ids{"P-2", "P-1"}));
  EXPECT_EQ(patients(page({.equal = {{"patient_id", "P-1"}}, .since_ns = 1'001 * second})),
            (Ids{"P-1"}));
  EXPECT_EQ(patients(page({.equal = {{"patient_id", "' OR 1=1 --"}}})), Ids{});
  EXPECT_TRUE(page({.equal = {{"patient_id", "P-9"}}}).at("next").is_null());
}

TEST_F(RecordQueryTest, pages_hold_each_row_once_also_when_timestamps_are_equal) {
  for (int i = 0; i < 25; ++i) add(fmt::format("P-{} T-1 {}", i, i < 20 ? 1000 : 2000));
  store();
  for (std::optional<std::string> trial : {std::optional<std::string>{}, {"T-1"}}) {
    std::set<std::string> seen;
    ListFilter filter{.limit = 7};
    if (trial) filter.equal = {{"trial_id", *trial}};
    int pages = 0;
    while (true) {
      json::value got = page(filter);
      for (auto& id : patients(got)) EXPECT_TRUE(seen.insert(id).second) << id;
      ++pages;
      if (got.at("next").is_null()) break;
      filter.cursor = got.at("next").as_string();
    }
    EXPECT_EQ(seen.size(), 25U);
    EXPECT_EQ(pages, 4);
  }
}

TEST_F(RecordQueryTest, a_walk_is_not_disturbed_by_rows_that_arrive_meanwhile) {
  for (int i = 0; i < 10; ++i) add(fmt::format("P-{} T-1 {}", i, 1000 + i));
  store();
  ListFilter filter{.limit = 5};
  json::value first = page(filter);
  add("P-early T-1 1");      // sorts before what was sent
  add("P-same T-1 1004");    // equal to the last one sent, arrived later
  add("P-late T-1 999999");  // at the end
  store();
  filter.cursor = first.at("next").as_string();
  filter.limit = 100;
  EXPECT_EQ(patients(page(filter)), (Ids{"P-same", "P-5", "P-6", "P-7", "P-8", "P-9", "P-late"}));
}

TEST_F(RecordQueryTest, a_cursor_does_not_widen_the_filters_of_the_next_page) {
  for (int i = 0; i < 10; ++i) add(fmt::format("P-{} T-{} {}", i, i % 2, 1000 + i));
  store();
  json::value first = page({.limit = 2});
  ListFilter filter{.equal = {{"trial_id", "T-1"}}, .since_ns = 1'005'000'000'000};
  filter.cursor = first.at("next").as_string();
  EXPECT_EQ(patients(page(filter)), (Ids{"P-5", "P-7", "P-9"}));
}

TEST_F(RecordQueryTest, a_forged_cursor_is_refused) {
  add("P-1 T-1 1000");
  store();
  for (std::string forged : {"x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
    ListFilter filter;
    filter.cursor = forged;
    auto result = query->list(Principal::anonymous(), reports, filter, {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  }
}

TEST_F(RecordQueryTest, a_limit_out_of_range_is_refused) {
  store();
  for (std::uint32_t limit : {0U, 1'001U}) {
    auto result = query->list(Principal::anonymous(), reports, {.limit = limit}, {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  }
}

TEST_F(RecordQueryTest, a_page_ends_when_it_is_large) {
  query_options.page_bytes_max = 1'000;
  query = make_record_query(query_options);
  for (int i = 0; i < 50; ++i) add(fmt::format("P-{} T-1 {}", i, 1000 + i));
  store();
  std::size_t seen = 0;
  ListFilter filter{.limit = 1000};
  while (true) {
    auto result = query->list(Principal::anonymous(), reports, filter, {});
    ASSERT_TRUE(result);
    EXPECT_LE(result->json.size(), 1'500U);
    seen += result->items;
    json::value got = json::parse(result->json);
    if (got.at("next").is_null()) break;
    filter.cursor = got.at("next").as_string();
  }
  EXPECT_EQ(seen, 50U);
}

TEST_F(RecordQueryTest, a_principal_sees_its_studies_sites_and_patient_and_no_hint_of_others) {
  add("P-1 T-1 1000 S-1");
  add("P-2 T-1 2000 S-2");
  add("P-3 T-2 3000 S-1");
  add("nonsense");
  store();
  Principal none;
  EXPECT_EQ(json::serialize(page({}, none)), R"({"items":[],"next":null})");
  Principal one;
  one.studies = {"T-1"};
  EXPECT_EQ(patients(page({}, one)), (Ids{"P-1", "P-2"}));
  EXPECT_EQ(json::serialize(page({.equal = {{"trial_id", "T-2"}}}, one)),
            R"({"items":[],"next":null})");
  EXPECT_EQ(json::serialize(page({.equal = {{"patient_id", "P-3"}}}, one)),
            R"({"items":[],"next":null})");
  EXPECT_TRUE(page({.limit = 2}, one).at("next").is_null());  // what is hidden is not a next page
  Principal two;
  two.studies = {"T-2", "T-1", "it's \"quoted\""};
  EXPECT_EQ(patients(page({}, two)), (Ids{"P-1", "P-2", "P-3"}));
  two.sites = {"S-1"};
  EXPECT_EQ(patients(page({}, two)), (Ids{"P-1", "P-3"}));
  two.own_patient = "P-3";
  EXPECT_EQ(patients(page({}, two)), (Ids{"P-3"}));
  EXPECT_EQ(patients(page({.equal = {{"patient_id", "P-1"}}}, two)), Ids{});
  // A cursor of someone who sees more opens nothing.
  ListFilter later;
  later.cursor = page({.limit = 1}).at("next").as_string();
  EXPECT_EQ(patients(page(later, one)), (Ids{"P-2"}));
}

TEST_F(RecordQueryTest, no_statement_exists_that_forgets_the_principal) {
  Principal restricted;
  restricted.studies = {"T-1"};
  for (int bits = 0; bits < 16; ++bits) {
    ListFilter filter;
    if (bits & 1) filter.equal.push_back({"patient_id", "P"});
    if (bits & 2) filter.equal.push_back({"trial_id", "T"});
    if (bits & 4) filter.since_ns = 1;
    std::optional<PagePosition> after;
    if (bits & 8) after.emplace();
    ListSelect select(Dialect::sqlite, restricted, reports, filter, after);
    std::size_t where = select.sql().find(" WHERE ");
    EXPECT_TRUE(select.sql().substr(where).contains("trial_id = ?")) << select.sql();
    bool bound = std::ranges::any_of(select.parameters(), [](const Value& value) {
      const auto* text = std::get_if<std::string_view>(&value);
      return text != nullptr && *text == "T-1";
    });
    EXPECT_TRUE(bound);
  }
}

TEST_F(RecordQueryTest, no_page_is_sorted_and_every_one_seeks_in_an_index) {
  add("P-1 T-1 1000");
  store();
  OtherProgram other(query_options.path);
  Principal several;
  several.studies = {"T-1", "T-2"};
  for (const Principal& principal : {Principal::anonymous(), several}) {
    for (int bits = 0; bits < 8; ++bits) {
      ListFilter filter{.since_ns = 1};
      if (bits & 1) filter.equal.push_back({"patient_id", "P"});
      if (bits & 2) filter.equal.push_back({"trial_id", "T"});
      std::optional<PagePosition> after;
      if (bits & 4) after.emplace();
      ListSelect select(Dialect::sqlite, principal, reports, filter, after);
      auto database = Database::open_reader({.path = query_options.path});
      ASSERT_TRUE(database);
      auto plan = database->prepare("EXPLAIN QUERY PLAN " + select.sql());
      ASSERT_TRUE(plan) << plan.error().text;
      std::string text;
      while (plan->step() == SQLITE_ROW) text.append(plan->text(3)).append("\n");
      EXPECT_TRUE(text.contains("SEARCH epro_reports USING INDEX")) << text << select.sql();
      EXPECT_FALSE(text.contains("TEMP B-TREE")) << text << select.sql();
      if (after) EXPECT_TRUE(text.contains("timestamp_ns=? AND rowid>?")) << text;
    }
  }
}

TEST_F(RecordQueryTest, a_query_ends_when_it_is_cancelled_or_late) {
  add("P-1 T-1 1000");
  store();
  std::stop_source stop;
  stop.request_stop();
  auto cancelled = query->list(Principal::anonymous(), reports, {}, {.stop = stop.get_token()});
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, ErrorCode::cancelled);
  auto late = query->list(Principal::anonymous(), reports, {},
                          {.deadline = std::chrono::steady_clock::time_point::min()});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(page().at("items").as_array().size(), 1U);  // the connection is as good as before
}

TEST_F(RecordQueryTest, a_running_query_is_interrupted) {
  for (int i = 0; i < 20'000; ++i) add("P-1 T-1 1000 S-1");
  store();
  Principal slow = Principal::anonymous();
  slow.sites = {"S-none"};  // looks at every row and finds none
  auto soon = std::chrono::steady_clock::now() + std::chrono::microseconds(500);
  auto late = query->list(slow, reports, {}, {.stop = {}, .deadline = soon});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
}

TEST_F(RecordQueryTest, a_file_that_is_not_there_yet_is_unavailable_until_it_is) {
  auto early = query->list(Principal::anonymous(), reports, {}, {});
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::unavailable);
  {
    OtherProgram empty(query_options.path);
    EXPECT_TRUE(empty.execute("CREATE TABLE x (y)"));
  }
  early = query->list(Principal::anonymous(), reports, {}, {});
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().code, ErrorCode::unavailable);
  add("P-1 T-1 1000");
  store();
  EXPECT_EQ(patients(page()), (Ids{"P-1"}));
}

TEST_F(RecordQueryTest, a_query_waits_for_no_writer) {
  add("P-1 T-1 1000");
  store();
  OtherProgram other(query_options.path);
  ASSERT_TRUE(other.execute("BEGIN IMMEDIATE; DELETE FROM epro_reports"));
  EXPECT_EQ(patients(page()), (Ids{"P-1"}));
  ASSERT_TRUE(other.execute("ROLLBACK"));
}

TEST_F(RecordQueryTest, a_file_in_the_place_of_another_is_listed_from_then_on) {
  add("P-old T-1 1700000000");
  store();
  EXPECT_EQ(patients(page()), Ids{"P-old"});  // its connection is kept
  sink.reset();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::filesystem::remove(database_options.path.string() + suffix);
  }
  sink = test::make_test_sink(database_options, metrics);
  deliveries.clear();
  add("P-new T-1 1700000000");
  store();
  EXPECT_EQ(patients(page()), Ids{"P-new"});
}

TEST_F(RecordQueryTest, more_queries_at_once_than_connections_are_overload) {
  query_options.connections_max = 0;
  query = make_record_query(query_options);
  auto result = query->list(Principal::anonymous(), reports, {}, {});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::overloaded);
}

}  // namespace
}  // namespace trialwire::storage::sqlite
