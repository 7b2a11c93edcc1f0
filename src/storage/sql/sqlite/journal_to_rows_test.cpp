// SPDX-License-Identifier: Apache-2.0
// The real journal, the lane and the SQLite file together.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <semaphore>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "journal/journal.hpp"
#include "journal/offline.hpp"
#include "pipeline/lane.hpp"
#include "storage/sql/sqlite/record_query.hpp"
#include "storage/sql/sqlite/test_reports.hpp"

namespace trialwire::storage::sqlite {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

struct Told final : journal::Waiter {
  std::counting_semaphore<> news{0};
  void committed(const journal::Receipt& receipt) noexcept override {
    EXPECT_EQ(receipt.state, journal::Receipt::State::durable);
    news.release();
  }
};

class JournalToRowsTest : public testing::Test {
 protected:
  JournalToRowsTest() {
    journal_options.directory = directory / "journal";
    journal_options.segment_bytes = 1 << 20;
    journal_options.dedupe_bytes = 1 << 20;
    journal_options.dedupe_window = std::chrono::nanoseconds(0);
    database_options.path = directory / "trialwire.db";
    database_options.busy_timeout = milliseconds(1);
    lane_options.batch_delay = milliseconds(2);
    lane_options.delivery_interval = milliseconds(1);
    lane_options.backoff = {milliseconds(1), milliseconds(5)};
    lane_options.background = false;
  }
  ~JournalToRowsTest() override { close(); }

  Result<void> open() {
    auto opened = journal::Journal::open(journal_options, journal::posix_files(), metrics);
    if (!opened) return std::unexpected(opened.error());
    journal = std::move(*opened);
    port = journal->add_shard([this] { notified.release(); });
    lane = std::make_unique<pipeline::Lane>(
        lane_options, *journal, test::make_test_sink(database_options, metrics), metrics);
    auto started = lane->start();
    journal->start([](const Error& error) { ADD_FAILURE() << error.text; });
    return started;
  }
  void close() {
    lane.reset();
    if (journal) journal->stop();
    port = {};
    journal.reset();
  }
  /// One group; returns when it is durable.
  void append(const std::vector<std::string>& bodies, Uuid submission = {}) {
    journal::Appender& appender = *port.appender;
    appender.begin(journal::GroupMode::all_or_none);
    for (const std::string& body : bodies) {
      journal::Record record;
      record.bytes = as_bytes(body);
      record.attributes.received_ns = 1'770'000'000'000'000'000;
      ++identity;
      record.attributes.identity = siphash({1, 2}, std::as_bytes(std::span(&identity, 1)));
      record.attributes.content_hash = siphash({1, 2}, record.bytes).low;
      record.attributes.submission = submission;
      appender.add(record);
    }
    Told told;
    appender.end(told);
    appender.flush();
    while (!told.news.try_acquire()) {
      port.deliver();
      static_cast<void>(notified.try_acquire_for(milliseconds(20)));
    }
  }
  void append_many(int groups) {
    for (int i = 0; i < groups; ++i) {
      append({fmt::format("P-{} T-1 {}", i % 7, 1'700'000'000 + i), "P-x T-2 1700000000"});
    }
  }
  void wait_until_delivered() {
    std::uint64_t end = journal->end().next_sequence;
    auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (lane->next_sequence() < end && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::yield();
    }
    ASSERT_EQ(lane->next_sequence(), end);
  }
  std::string rows() {
    return test::OtherProgram(database_options.path)
        .value("SELECT count(*) || ' ' || count(DISTINCT sequence) FROM epro_reports");
  }

  test::TemporaryDirectory directory;
  telemetry::Registry metrics;
  journal::Options journal_options;
  DatabaseOptions database_options;
  pipeline::LaneOptions lane_options;
  std::unique_ptr<journal::Journal> journal;
  journal::Journal::ShardPort port;
  std::unique_ptr<pipeline::Lane> lane;
  std::counting_semaphore<> notified{0};
  std::uint64_t identity = 0;
};

TEST_F(JournalToRowsTest, every_durable_record_is_a_row_once_over_restarts) {
  ASSERT_TRUE(open());
  append_many(100);
  wait_until_delivered();
  EXPECT_EQ(rows(), "200 200");
  close();
  ASSERT_TRUE(open());
  append_many(10);
  wait_until_delivered();
  EXPECT_EQ(rows(), "220 220");
  test::OtherProgram other(database_options.path);
  EXPECT_EQ(other.value("SELECT count(DISTINCT record_id) FROM epro_reports"), "220");
  EXPECT_EQ(other.value("SELECT count(DISTINCT journal_id) FROM epro_reports"), "1");
}

TEST_F(JournalToRowsTest, intake_goes_on_without_a_database_and_the_rows_come_with_it) {
  fs::path place = directory / "not_mounted";
  database_options.path = place / "trialwire.db";
  ASSERT_TRUE(open());
  append_many(50);
  EXPECT_EQ(lane->next_sequence(), 0U);
  fs::create_directory(place);
  wait_until_delivered();
  EXPECT_EQ(rows(), "100 100");
}

TEST_F(JournalToRowsTest, a_database_locked_by_another_program_gets_its_rows_afterwards) {
  ASSERT_TRUE(open());
  append_many(1);
  wait_until_delivered();
  {
    test::OtherProgram other(database_options.path);
    ASSERT_TRUE(other.execute("BEGIN IMMEDIATE"));
    append_many(20);
    auto query = make_record_query({.path = database_options.path});
    auto page = query->list(Principal::anonymous(), {"epro_reports", {}, {}}, {}, {});
    ASSERT_TRUE(page) << page.error().text;
    EXPECT_EQ(page->items, 2U);  // what was committed can still be read
  }
  wait_until_delivered();
  EXPECT_EQ(rows(), "42 42");
}

TEST_F(JournalToRowsTest, a_journal_older_than_the_database_is_refused_with_both_named) {
  ASSERT_TRUE(open());
  append_many(5);
  wait_until_delivered();
  close();
  fs::copy(directory / "journal", directory / "yesterday", fs::copy_options::recursive);
  ASSERT_TRUE(open());
  append_many(5);
  wait_until_delivered();
  close();
  fs::remove_all(directory / "journal");
  fs::rename(directory / "yesterday", directory / "journal");
  auto started = open();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::corrupt);
  EXPECT_TRUE(started.error().text.contains("21")) << started.error().text;
  EXPECT_TRUE(started.error().text.contains("11")) << started.error().text;
}

TEST_F(JournalToRowsTest, a_gap_at_the_journals_end_is_passed_also_with_nothing_behind_it) {
  ASSERT_TRUE(open());
  append_many(3);
  wait_until_delivered();
  close();
  for (const std::uint64_t resume_at : {7 + 100, 107 + 100}) {
    const auto repaired = journal::journal_repair(journal_options.directory, journal::posix_files(),
                                                  {.apply = true, .resume_at = resume_at});
    ASSERT_TRUE(repaired) << repaired.error().text;
    ASSERT_TRUE(open());
    wait_until_delivered();
    EXPECT_EQ(lane->next_sequence(), resume_at);
    close();
  }
  ASSERT_TRUE(open());
  append_many(3);
  wait_until_delivered();
  EXPECT_EQ(lane->next_sequence(), 207U + 6);
  EXPECT_EQ(rows(), "12 12");
}

TEST_F(JournalToRowsTest, an_older_database_gets_what_it_lacks) {
  ASSERT_TRUE(open());
  append_many(5);
  wait_until_delivered();
  close();
  fs::copy(database_options.path, directory / "yesterday.db");
  ASSERT_TRUE(open());
  append_many(5);
  wait_until_delivered();
  close();
  fs::rename(directory / "yesterday.db", database_options.path);
  ASSERT_TRUE(open());
  wait_until_delivered();
  EXPECT_EQ(rows(), "20 20");
}

}  // namespace
}  // namespace trialwire::storage::sqlite
