// SPDX-License-Identifier: Apache-2.0
// Lists out of a real server: pages, who may see what, and queries that nobody waits for any more.
#include "storage/sql/postgres/record_query.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <boost/json/parse.hpp>

#include "services/postgres/fixture.hpp"

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
constexpr storage::ListShape shape{
    .table = "epro_reports", .parameters = parameters, .flag_names = {}};

class PostgresQueryTest : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    query_options.connection.url = url;
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
  void make() { query = storage::postgres::make_record_query(query_options); }
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
  storage::postgres::RecordQueryOptions query_options;
  std::unique_ptr<storage::RecordQuery> query;
};

TEST_F(PostgresQueryTest, pages_follow_each_other_in_the_order_of_time_and_arrival) {
  store(250);
  make();
  std::vector<std::string> all = walk({.limit = 7});
  ASSERT_EQ(all.size(), 250U);
  for (int i = 0; i < 250; ++i)
    EXPECT_EQ(all[static_cast<std::size_t>(i)], fmt::format("no {}", i));
}

TEST_F(PostgresQueryTest, filters_and_the_principal_narrow_the_list) {
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

TEST_F(PostgresQueryTest, a_page_of_large_items_ends_early) {
  store(0);
  auto sink = make_sink();
  ASSERT_TRUE(sink->durable_cursor(journal));
  for (int i = 0; i < 20; ++i) {
    deliveries.add(fmt::format("P-1 T-1 {} {}", 1'700'000'000 + i, std::string(4'000, 'x')));
  }
  ASSERT_TRUE(deliveries.to(*sink));
  query_options.page_bytes_max = 10'000;
  make();
  auto page = list({});
  EXPECT_EQ(count(page), "3");
  EXPECT_EQ(walk({}).size(), 20U);
}

TEST_F(PostgresQueryTest, a_cursor_of_another_database_is_refused) {
  store(3);
  make();
  auto page = list({.cursor = std::string(44, 'A')});
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(list({.limit = 0}).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(count(list({})), "3") << "the connection is still good";
}

TEST_F(PostgresQueryTest, texts_that_no_row_can_have_find_nothing_or_are_refused) {
  store(3);
  make();
  ListFilter filter{.equal = {{"patient_id", std::string("P-1\0x", 5)}}};
  EXPECT_EQ(count(list(filter)), "0");
  filter.equal.front().value = "\xff";
  EXPECT_EQ(list(filter).error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(count(list({})), "3");
}

TEST_F(PostgresQueryTest, a_query_ends_at_its_deadline_and_when_the_client_has_gone) {
  store(3);
  make();
  ASSERT_EQ(count(list({})), "3");
  OtherProgram other(url);
  other.value("BEGIN");
  other.value("LOCK TABLE epro_reports IN ACCESS EXCLUSIVE MODE");
  auto late = list({}, Principal::anonymous(), {.deadline = Clock::now() + milliseconds(50)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::deadline_exceeded);
  std::stop_source client;
  std::jthread leaves([&] {
    OtherProgram watcher(url);
    while (watcher.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0") {
    }
    client.request_stop();
  });
  auto gone = list({}, Principal::anonymous(), {.stop = client.get_token()});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::cancelled);
  while (other.value("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0") {
    // The server ends both by itself, or this test by its timeout.
  }
  other.value("ROLLBACK");
  EXPECT_EQ(count(list({})), "3");
}

TEST_F(PostgresQueryTest, more_queries_than_connections_are_refused) {
  store(3);
  query_options.connections_max = 1;
  make();
  OtherProgram other(url);
  other.value("BEGIN");
  other.value("LOCK TABLE epro_reports IN ACCESS EXCLUSIVE MODE");
  std::stop_source client;
  std::jthread waiting(
      [&] { EXPECT_FALSE(list({}, Principal::anonymous(), {.stop = client.get_token()})); });
  OtherProgram watcher(url);
  while (watcher.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == "0") {
  }
  EXPECT_EQ(list({}).error().code, ErrorCode::overloaded);
  client.request_stop();
}

TEST_F(PostgresQueryTest, connections_that_were_cut_while_they_idled_are_replaced) {
  store(3);
  make();
  ASSERT_EQ(count(list({})), "3");
  OtherProgram(url).cut_others();
  EXPECT_EQ(count(list({})), "3");
  server().kill();
  auto page = list({});
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::unavailable) << page.error().text;
  server().start();
  EXPECT_EQ(count(list({})), "3");
}

TEST_F(PostgresQueryTest, before_there_are_tables_queries_are_unavailable) {
  make();
  auto page = list({});
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::unavailable) << page.error().text;
}

}  // namespace
}  // namespace trialwire::test
