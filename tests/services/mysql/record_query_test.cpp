// SPDX-License-Identifier: Apache-2.0
// Lists out of a real server: pages, who may see what, and queries that nobody waits for any more.
#include "storage/sql/mysql/record_query.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include "services/mysql/fixture.hpp"

namespace trialwire::test {
namespace {

using std::chrono::milliseconds;
using storage::ListFilter;
using storage::ListPage;
using storage::Principal;
using Clock = std::chrono::steady_clock;

constexpr std::array<storage::ListParameter, 2> parameters{{
    {"patientId", "patient_id"},
    {"trialId", "trial_id"},
}};
constexpr storage::ListShape shape{.table = "epro_reports", .parameters = parameters};

constexpr const char* waiting_queries =
    "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() "
    "AND state LIKE 'Waiting for table%'";

class MysqlQueryTest : public MysqlTest {
 protected:
  void SetUp() override {
    MysqlTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    query_options.connection.address = options.connection.address;
  }
  /// Reports of `patients` patients in turn, two a second.
  void store(int count, int patients = 3) {
    auto sink = make_sink();
    ASSERT_TRUE(sink->durable_cursor(journal));
    for (int i = 0; i < count; ++i) {
      deliveries.add(
          fmt::format("P-{} T-{} {} no {}", i % patients, i % 2, 1'700'000'000 + i / 2, i));
    }
    ASSERT_TRUE(deliveries.to(*sink));
  }
  void make() { query = storage::mysql::make_record_query(query_options); }
  Result<ListPage> list(const ListFilter& filter, const Principal& who = Principal::anonymous(),
                        const storage::QueryControl& control = {}) {
    return query->list(who, shape, filter, control);
  }
  std::string count(const Result<ListPage>& page) {
    return page ? std::to_string(page->items) : page.error().text;
  }
  /// Comments of all pages, one after the other.
  std::vector<std::string> walk(ListFilter filter) {
    std::vector<std::string> found;
    while (true) {
      auto page = list(filter);
      EXPECT_TRUE(page) << page.error().text;
      if (!page) return found;
      auto json = boost::json::parse(page->json).as_object();
      for (const auto& item : json["items"].as_array()) {
        found.emplace_back(item.as_object().at("comments").as_string());
      }
      if (json["next"].is_null()) return found;
      filter.cursor = std::string(json["next"].as_string());
    }
  }

  storage::mysql::RecordQueryOptions query_options;
  std::unique_ptr<storage::RecordQuery> query;
};

TEST_F(MysqlQueryTest, pages_follow_each_other_in_the_order_of_time_and_arrival) {
  store(250);
  make();
  std::vector<std::string> all = walk({.limit = 7});
  ASSERT_EQ(all.size(), 250U);
  for (int i = 0; i < 250; ++i) {
    EXPECT_EQ(all[static_cast<std::size_t>(i)], fmt::format("no {}", i));
  }
}

TEST_F(MysqlQueryTest, an_item_has_the_fields_of_its_record) {
  store(1);
  make();
  auto page = list({});
  ASSERT_TRUE(page) << page.error().text;
  auto item = boost::json::parse(page->json).as_object()["items"].as_array().front().as_object();
  EXPECT_EQ(item["patientId"].as_string(), "P-0");
  EXPECT_EQ(item["trialId"].as_string(), "T-0");
  EXPECT_EQ(item["timestamp"].as_string(), "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(item["comments"].as_string(), "no 0");
  EXPECT_EQ(item["sequence"].as_int64(), 1);
  EXPECT_EQ(std::string(item["recordId"].as_string()), value("SELECT record_id FROM epro_reports"));
  EXPECT_FALSE(item.contains("siteId"));
}

TEST_F(MysqlQueryTest, filters_and_the_principal_narrow_the_list) {
  store(60);
  make();
  ListFilter one{.equal = {{"patient_id", "P-1"}}};
  EXPECT_EQ(count(list(one)), "20");
  EXPECT_EQ(
      count(list({.since_ns = 1'700'000'005'000'000'000, .until_ns = 1'700'000'007'000'000'000})),
      "4");
  Principal nurse;
  EXPECT_EQ(count(list({}, nurse)), "0") << "of no study";
  nurse.studies = {"T-1"};
  EXPECT_EQ(count(list({}, nurse)), "30");
  nurse.studies = {"T-1", "it's \"quoted\\"};
  EXPECT_EQ(count(list(one, nurse)), "10");
  nurse.own_patient = "P-2";
  EXPECT_EQ(count(list(one, nurse)), "0");
}

TEST_F(MysqlQueryTest, a_page_of_large_items_ends_early) {
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  for (int i = 0; i < 20; ++i) {
    deliveries.add(fmt::format("P-1 T-1 {} {}", 1'700'000'000 + i, std::string(4'000, 'x')));
  }
  ASSERT_TRUE(deliveries.to(*sink));
  query_options.page_bytes_max = 10'000;
  make();
  EXPECT_EQ(count(list({})), "3");
  EXPECT_EQ(walk({}).size(), 20U);
}

TEST_F(MysqlQueryTest, a_cursor_of_another_database_is_refused) {
  store(3);
  make();
  auto page = list({.cursor = std::string(44, 'A')});
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(list({.limit = 0}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(count(list({})), "3") << "the connection is still good";
}

TEST_F(MysqlQueryTest, texts_that_no_row_can_have_find_nothing_or_are_refused) {
  store(3);
  make();
  ListFilter filter{.equal = {{"patient_id", std::string("P-1\0x", 5)}}};
  EXPECT_EQ(count(list(filter)), "0");
  filter.equal.front().value = "P-1 ";
  EXPECT_EQ(count(list(filter)), "0") << "a space counts";
  filter.equal.front().value = "\xff";
  auto broken = list(filter);
  EXPECT_TRUE(broken ? broken->items == 0 : broken.error().code == ErrorCode::invalid_argument);
  EXPECT_EQ(count(list({})), "3");
}

TEST_F(MysqlQueryTest, a_query_ends_at_its_deadline_and_when_the_client_has_gone) {
  store(3);
  make();
  ASSERT_EQ(count(list({})), "3");
  OtherProgram other(url);
  other.value("LOCK TABLES epro_reports WRITE");
  auto late = list({}, Principal::anonymous(), {.deadline = Clock::now() + milliseconds(50)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
  OtherProgram watcher(url);
  while (watcher.value(waiting_queries) != "0") {
    // Killed on the server: it does not go on there, or this test ends by its timeout.
  }
  std::stop_source client;
  std::jthread leaves([&] {
    while (watcher.value(waiting_queries) == "0") {
    }
    client.request_stop();
  });
  auto gone = list({}, Principal::anonymous(), {.stop = client.get_token()});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::cancelled);
  leaves.join();
  while (watcher.value(waiting_queries) != "0") {
  }
  other.value("UNLOCK TABLES");
  EXPECT_EQ(count(list({})), "3");
}

TEST_F(MysqlQueryTest, more_queries_than_connections_are_refused) {
  store(3);
  query_options.connections_max = 1;
  make();
  OtherProgram other(url);
  other.value("LOCK TABLES epro_reports WRITE");
  std::stop_source client;
  std::jthread waiting(
      [&] { EXPECT_FALSE(list({}, Principal::anonymous(), {.stop = client.get_token()})); });
  OtherProgram watcher(url);
  while (watcher.value(waiting_queries) == "0") {
  }
  EXPECT_EQ(list({}).error().code, ErrorCode::overloaded);
  client.request_stop();
}

TEST_F(MysqlQueryTest, connections_that_were_cut_while_they_idled_are_replaced) {
  store(3);
  make();
  ASSERT_EQ(count(list({})), "3");
  OtherProgram(url).cut_others();
  EXPECT_EQ(count(list({})), "3");
  server().kill();
  EXPECT_EQ(list({}).error().code, ErrorCode::unavailable);
  server().start();
  EXPECT_EQ(count(list({})), "3");
}

TEST_F(MysqlQueryTest, a_query_changes_nothing_and_wants_the_schema) {
  make();
  auto page = list({});
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::unavailable) << page.error().text;
  EXPECT_EQ(value("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = "
                  "DATABASE()"),
            "0");
}

}  // namespace
}  // namespace trialwire::test
