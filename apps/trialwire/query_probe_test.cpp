// SPDX-License-Identifier: Apache-2.0
#include "query_probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "epro/report_list.hpp"

namespace trialwire {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

class Database final : public storage::RecordQuery {
 public:
  Result<storage::ListPage> list(const storage::Principal& principal, const storage::ListShape&,
                                 const storage::ListFilter& filter,
                                 const storage::QueryControl& control) override {
    EXPECT_FALSE(principal.unrestricted) << "nobody's data is read";
    EXPECT_EQ(filter.limit, 1U);
    ++asked;
    if (gate) gate->wait();
    if (control.stop.stop_requested()) return fail(ErrorCode::cancelled, "the query was cancelled");
    if (failure) return std::unexpected(*failure);
    return storage::ListPage{};
  }

  std::atomic<int> asked = 0;
  std::optional<Error> failure;
  std::optional<std::shared_future<void>> gate;
};

class QueryProbeTest : public testing::Test {
 protected:
  /// After a question and its answer.
  ReadinessCheck asked(QueryProbe& probe) {
    now += 1h;
    probe.tick(now);
    workers.stop();
    return probe.check();
  }

  Database database;
  runtime::WorkerPool workers{{.threads = 1}};
  std::array<query::ListRoute, 1> routes{epro::report_list()};
  QueryProbe::Clock::time_point now = QueryProbe::Clock::now();
};

TEST_F(QueryProbeTest, nothing_is_known_before_the_first_answer) {
  QueryProbe probe({}, routes, database, workers);
  EXPECT_FALSE(probe.check().ok);
  EXPECT_EQ(probe.check().detail, "not asked yet");
  EXPECT_TRUE(asked(probe).ok);
  EXPECT_EQ(database.asked, 1);
}

TEST_F(QueryProbeTest, a_database_that_is_away_is_not_ready_and_why_is_said) {
  database.failure = Error{ErrorCode::unavailable, "postgres db:5432/trials: Connection refused"};
  QueryProbe probe({}, routes, database, workers);
  const auto check = asked(probe);
  EXPECT_FALSE(check.ok);
  EXPECT_TRUE(check.required);
  EXPECT_THAT(check.detail, HasSubstr("Connection refused"));
}

TEST_F(QueryProbeTest, beside_a_gateway_it_is_shown_and_no_more) {
  database.failure = Error{ErrorCode::unavailable, "away"};
  QueryProbe probe({.required = false}, routes, database, workers);
  const auto check = asked(probe);
  EXPECT_FALSE(check.ok);
  EXPECT_FALSE(check.required);
}

TEST_F(QueryProbeTest, a_silent_database_is_said_to_be_silent) {
  database.failure = Error{ErrorCode::deadline_exceeded, "narrow its filters"};
  QueryProbe probe({}, routes, database, workers);
  EXPECT_EQ(asked(probe).detail, "the database does not answer within 2000 ms");
}

TEST_F(QueryProbeTest, good_answers_are_told_and_no_others) {
  std::atomic<int> told = 0;
  QueryProbe probe({.answered = [&] { ++told; }}, routes, database, workers);
  probe.tick(now);
  while (!probe.check().ok) std::this_thread::yield();
  EXPECT_EQ(told, 1);
  database.failure = Error{ErrorCode::unavailable, "away"};
  EXPECT_FALSE(asked(probe).ok);
  EXPECT_EQ(told, 1);
}

TEST_F(QueryProbeTest, load_is_no_outage) {
  database.failure = Error{ErrorCode::overloaded, "all database connections are in use"};
  QueryProbe probe({}, routes, database, workers);
  EXPECT_EQ(asked(probe).detail, "not asked yet") << "as it was";
  probe.tick(now + 1h);  // the pool takes nothing any more, as when its queue is full
  EXPECT_EQ(probe.check().detail, "not asked yet");
}

TEST_F(QueryProbeTest, one_question_is_under_way_at_a_time_and_the_asker_never_waits) {
  std::promise<void> open;
  database.gate = open.get_future().share();
  QueryProbe probe({}, routes, database, workers);
  for (int i = 0; i < 5; ++i) probe.tick(now += 1h);
  EXPECT_FALSE(probe.check().ok);
  open.set_value();
  workers.stop();
  EXPECT_EQ(database.asked, 1);
  EXPECT_TRUE(probe.check().ok);
}

TEST_F(QueryProbeTest, a_stop_gives_the_question_up_and_says_nothing_of_the_database) {
  std::promise<void> open;
  database.gate = open.get_future().share();
  QueryProbe probe({}, routes, database, workers);
  probe.tick(now);
  probe.stop();
  open.set_value();
  workers.stop();
  EXPECT_EQ(database.asked, 1);
  EXPECT_EQ(probe.check().detail, "not asked yet");
}

TEST_F(QueryProbeTest, an_answer_is_good_for_its_interval) {
  QueryProbe probe({.interval = 1h}, routes, database, workers);
  probe.tick(now);
  while (!probe.check().ok) std::this_thread::yield();
  probe.tick(QueryProbe::Clock::now());
  workers.stop();
  EXPECT_EQ(database.asked, 1);
}

}  // namespace
}  // namespace trialwire
