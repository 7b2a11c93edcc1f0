// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/partition_cursor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace trialwire::storage::kafka {
namespace {

using journal::Cursor;

/// Cursors of a database; stored only over the one that was read last.
class CursorTable final : public pipeline::Sink {
 public:
  std::string_view name() const noexcept override { return "table"; }
  Result<Cursor> durable_cursor(const Uuid& journal) override {
    if (away) return fail(ErrorCode::unavailable, "away");
    read_ = journal;
    seen_ = cursors[journal];
    return Cursor{journal, std::max<std::uint64_t>(seen_, 1)};
  }
  Result<void> deliver(std::span<const journal::Record>, const Cursor& cursor) override {
    if (away_to_store) return fail(ErrorCode::unavailable, "away");
    if (cursor.journal != read_ || cursors[cursor.journal] != seen_) {
      return fail(ErrorCode::conflict, "another cursor");
    }
    cursors[cursor.journal] = seen_ = cursor.next_sequence;
    return {};
  }
  void reset() noexcept override {}

  std::map<Uuid, std::uint64_t> cursors;
  bool away = false;
  bool away_to_store = false;

 private:
  Uuid read_;
  std::uint64_t seen_ = 0;
};

class PartitionCursorTest : public testing::Test {
 protected:
  Result<Cursor> ask() { return partition_cursor(table_, id_, {"topic", 3}, limit_); }
  void expect_refused() {
    const auto refused = ask();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
    EXPECT_TRUE(refused.error().text.contains("topic/3")) << refused.error().text;
    EXPECT_TRUE(refused.error().text.contains(id_.text())) << refused.error().text;
  }
  void expect_at(std::uint64_t next) {
    const auto found = ask();
    ASSERT_TRUE(found) << found.error().text;
    EXPECT_EQ(found->next_sequence, next);
    EXPECT_EQ(found->journal, id_);
  }

  const Uuid id_ = partition_id("cluster", {"topic", 3});
  CursorTable table_;
  PartitionLimit limit_;
};

TEST_F(PartitionCursorTest, one_that_no_end_was_found_before_is_the_sinks) {
  expect_at(1);
  table_.cursors[id_] = 21;
  expect_at(21);
  EXPECT_EQ(table_.cursors[refusal_id(id_)], 0U) << "nothing is noted in ordinary times";
}

TEST_F(PartitionCursorTest, one_beyond_the_limit_is_refused_also_by_who_never_saw_the_limit) {
  table_.cursors[id_] = 21;
  limit_.sequence = 8;
  expect_refused();
  limit_.sequence = PartitionLimit::none;  // another member, or a restart
  expect_refused();
  expect_refused();
  EXPECT_EQ(table_.cursors[id_], 21U) << "an operator is to see it";
}

TEST_F(PartitionCursorTest,
       when_its_row_is_deleted_all_begins_and_the_same_number_is_a_place_again) {
  table_.cursors[id_] = 21;
  limit_.sequence = 8;
  expect_refused();
  table_.cursors.erase(id_);
  expect_at(1);
  EXPECT_EQ(limit_.sequence, PartitionLimit::none);
  ASSERT_TRUE(table_.deliver({}, {id_, 21})) << "the cursor that it read last is the partition's";
  expect_at(21);
}

TEST_F(PartitionCursorTest, one_that_a_restored_database_has_before_the_limit_is_no_more_refused) {
  table_.cursors[id_] = 21;
  limit_.sequence = 8;
  expect_refused();
  table_.cursors[id_] = 8;
  expect_at(8);
}

TEST_F(PartitionCursorTest, a_refusal_that_cannot_be_noted_is_the_sinks_error_and_no_cursor) {
  table_.cursors[id_] = 21;
  limit_.sequence = 8;
  table_.away_to_store = true;
  EXPECT_EQ(ask().error().code, ErrorCode::unavailable);
  table_.away_to_store = false;
  expect_refused();
  table_.away = true;
  EXPECT_EQ(ask().error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace trialwire::storage::kafka
