// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/store.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "storage/sql/migrations.hpp"
#include "storage/sql/sqlite/test_reports.hpp"

namespace trialwire::storage::sqlite {
namespace {

using test::OtherProgram;

TEST(SqlitePath, is_in_the_data_directory_when_it_says_data) {
  EXPECT_EQ(path_of("sqlite:data/x.db", "/srv/tw"), "/srv/tw/x.db");
  EXPECT_EQ(path_of("sqlite:/var/x.db", "/srv/tw"), "/var/x.db");
  EXPECT_EQ(path_of("sqlite:x.db", "/srv/tw"), "x.db");
}

const pipeline::LaneSchedule one_lane(1);

class SqliteStoreTest : public testing::Test {
 protected:
  SqliteStoreTest() {
    auto opened = open_store({.url = "sqlite:data/trialwire.db", .data_dir = directory / ""});
    EXPECT_TRUE(opened) << opened.error().text;
    store = std::move(*opened);
  }
  std::unique_ptr<Session> connect(Access access = Access::read) {
    auto session = store->connect(access);
    EXPECT_TRUE(session) << session.error().text;
    return std::move(*session);
  }
  std::unique_ptr<pipeline::Sink> make_sink() {
    RowMappers mappers;
    mappers.push_back(std::make_unique<test::WordsMapper>());
    return store->make_sink(0, std::move(mappers), metrics);
  }

  test::TemporaryDirectory directory;
  std::filesystem::path path = directory / "trialwire.db";
  telemetry::Registry metrics;
  std::unique_ptr<Store> store;
  Uuid journal = Uuid::random();
  test::Deliveries deliveries{journal};
};

TEST_F(SqliteStoreTest, a_store_says_which_it_is) {
  EXPECT_EQ(store->name(), "sqlite");
  EXPECT_EQ(store->where(), "sqlite " + path.string());
  auto none = storage::open_store({.url = "oracle://x", .data_dir = {}});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::invalid_argument);
}

TEST_F(SqliteStoreTest, a_file_is_written_by_this_process_and_a_servers_tables_are_not) {
  EXPECT_TRUE(store->works_in_process());
  for (const char* url : {"postgres://u@db.invalid/trials", "mysql://u@db.invalid/trials"}) {
    auto server = storage::open_store({.url = url, .data_dir = {}});
    ASSERT_TRUE(server) << server.error().text;
    EXPECT_FALSE((*server)->works_in_process()) << url;
  }
}

TEST_F(SqliteStoreTest, a_reader_creates_no_file) {
  auto session = store->connect(Access::read);
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, ErrorCode::not_found);
  EXPECT_TRUE(store->made_when_missing());
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(SqliteStoreTest, a_directory_that_nobody_makes_is_missed_one_that_serve_makes_is_not) {
  auto code = [&](std::string url, std::string_view data_dir) {
    auto opened = open_store({.url = std::move(url), .data_dir = directory / data_dir});
    return (*opened)->connect(Access::read).error().code;
  };
  EXPECT_EQ(code("sqlite:data/x.db", "later"), ErrorCode::not_found);
  EXPECT_EQ(code("sqlite:" + (directory / "nowhere/x.db").string(), ""), ErrorCode::unavailable);
}

TEST_F(SqliteStoreTest, what_is_durable_is_read_beside_the_sink_and_without_it) {
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000 S-1", 7);
  ASSERT_TRUE(deliveries.to(*sink));
  EXPECT_EQ(durable_below(*connect(), "sqlite", journal, one_lane), 2U);
  sink.reset();
  EXPECT_EQ(durable_below(*connect(), "sqlite", journal, one_lane), 2U);
  EXPECT_EQ(durable_below(*connect(), "sqlite", Uuid::random(), one_lane), 1U);
  EXPECT_EQ(durable_below(*connect(), "postgres", journal, one_lane), 1U);
  std::ofstream(path) << "no database";
  auto session = store->connect(Access::read);
  EXPECT_FALSE(session && durable_below(**session, "sqlite", journal, one_lane));
}

TEST_F(SqliteStoreTest, one_at_rest_is_read_with_its_log_and_nothing_is_made_or_changed) {
  namespace fs = std::filesystem;
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000 S-1", 7);
  ASSERT_TRUE(deliveries.to(*sink));
  const auto look = [&](const fs::path& copy) {
    auto opened = open_store({.url = "sqlite:data/trialwire.db", .data_dir = copy});
    std::map<fs::path, std::pair<fs::file_time_type, std::uintmax_t>> before, after;
    for (auto* files : {&before, &after}) {
      for (const auto& entry : fs::directory_iterator(copy)) {
        (*files)[entry.path()] = {entry.last_write_time(), entry.file_size()};
      }
      if (files == &after) break;
      auto session = (*opened)->connect(Access::at_rest);
      ASSERT_TRUE(session) << session.error().text;
      EXPECT_EQ(durable_below(**session, "sqlite", journal, one_lane), 2U) << copy;
    }
    EXPECT_EQ(before, after) << copy;
  };
  const fs::path killed = directory / "killed";
  fs::create_directory(killed);
  for (const char* name : {"trialwire.db", "trialwire.db-wal", "trialwire.db-shm"}) {
    fs::copy(directory / name, killed / name);
  }
  look(killed);
  fs::remove(killed / "trialwire.db-shm");
  look(killed);
  sink.reset();
  const fs::path stopped = directory / "stopped 20%25?#1";
  fs::create_directory(stopped);
  fs::copy(path, stopped / "trialwire.db");
  look(stopped);
}

TEST_F(SqliteStoreTest, cursors_of_all_lanes_count_and_a_lane_without_one_has_nothing) {
  ASSERT_TRUE(migrate(*connect(Access::write)));
  auto insert = [&](unsigned lane, unsigned sequence) {
    return connect(Access::write)
        ->execute(fmt::format("INSERT INTO sink_cursors VALUES ('sqlite', {}, '{}', {})", lane,
                              journal.text(), sequence));
  };
  ASSERT_TRUE(insert(0, 7));
  const pipeline::LaneSchedule two(2);
  EXPECT_EQ(durable_below(*connect(), "sqlite", journal, two), 1U);
  ASSERT_TRUE(insert(1, 5));
  EXPECT_EQ(durable_below(*connect(), "sqlite", journal, two), 5U);
  auto cursors = stored_cursors(*connect());
  ASSERT_TRUE(cursors);
  ASSERT_EQ(cursors->size(), 2U);
  EXPECT_EQ(cursors->back().lane, 1U);
  EXPECT_EQ(cursors->back().next_sequence, 5U);
  EXPECT_EQ(cursors->back().journal, journal.text());
}

TEST_F(SqliteStoreTest, a_lane_that_ended_counts_until_it_has_all_that_was_its_own) {
  ASSERT_TRUE(migrate(*connect(Access::write)));
  auto store_cursor = [&](unsigned lane, unsigned sequence) {
    return connect(Access::write)
        ->execute(fmt::format("INSERT OR REPLACE INTO sink_cursors VALUES ('sqlite', {}, '{}', {})",
                              lane, journal.text(), sequence));
  };
  pipeline::LaneSchedule fewer(2);
  fewer.change(10, 1);
  ASSERT_TRUE(store_cursor(0, 70));
  ASSERT_TRUE(store_cursor(1, 9));
  EXPECT_EQ(durable_below(*connect(), "sqlite", journal, fewer), 9U);
  ASSERT_TRUE(store_cursor(1, 10));
  EXPECT_EQ(durable_below(*connect(), "sqlite", journal, fewer), 70U);
}

TEST_F(SqliteStoreTest, a_lane_that_was_added_has_nothing_before_it_begins) {
  ASSERT_TRUE(migrate(*connect(Access::write)));
  pipeline::LaneSchedule more(1);
  more.change(10, 2);
  EXPECT_EQ(durable_below(*connect(), "sqlite", journal, more), 1U);
  ASSERT_TRUE(connect(Access::write)
                  ->execute(fmt::format("INSERT INTO sink_cursors VALUES ('sqlite', 0, '{}', 70)",
                                        journal.text())));
  EXPECT_EQ(durable_below(*connect(), "sqlite", journal, more), 10U);
}

TEST_F(SqliteStoreTest, status_says_versions_tables_and_cursors) {
  {
    OtherProgram empty(path);
    ASSERT_TRUE(empty.execute("CREATE TABLE x (y)"));
  }
  auto status = store_status(*connect());
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_EQ(status->version_known, newest_migration(Dialect::sqlite));
  EXPECT_EQ(status->version_applied, 0);
  ASSERT_EQ(status->tables.size(), record_tables().size());
  EXPECT_FALSE(status->tables[0].rows);
  auto sink = make_sink();
  deliveries.add("P-1 T-1 1700000000 S-1", 7);
  deliveries.add("P-2 T-1 1700000000 S-1", 8);
  ASSERT_TRUE(deliveries.to(*sink));
  status = store_status(*connect());
  ASSERT_TRUE(status) << status.error().text;
  EXPECT_EQ(status->version_applied, status->version_known);
  EXPECT_EQ(status->tables[0].name, "epro_reports");
  EXPECT_EQ(status->tables[0].rows, 2);
  EXPECT_EQ(status->tables[3].rows, 0);
  ASSERT_EQ(status->cursors.size(), 1U);
  EXPECT_EQ(status->cursors[0].next_sequence, 3U);
}

}  // namespace
}  // namespace trialwire::storage::sqlite
