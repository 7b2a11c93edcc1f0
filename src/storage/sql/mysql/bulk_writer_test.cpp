// SPDX-License-Identifier: Apache-2.0
// What needs no server: when a batch is full. What it sends is seen in tests/services/mysql.
#include "storage/sql/mysql/bulk_writer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace trialwire::storage::mysql {
namespace {

using Row = RowBatch::Row;

constexpr std::array<RecordColumn, 2> columns{
    {{"a", ColumnType::text, false, "", ""}, {"b", ColumnType::integer, false, "", ""}}};

BulkWriter make(BatchLimits limits) {
  return {"t", columns, limits};
}

Row add(RowBatch& batch, std::size_t text_bytes) {
  batch.begin_row();
  batch.text(std::string(text_bytes, 'x'));
  batch.integer(1);
  return batch.end_row();
}

TEST(MysqlBulkWriterTest, a_batch_ends_before_it_is_too_long) {
  BulkWriter batch = make({.batch_bytes = 4'000});
  EXPECT_EQ(add(batch, 1'000), Row::added);
  EXPECT_EQ(add(batch, 1'000), Row::added);
  EXPECT_EQ(add(batch, 1'000), Row::batch_full);
  EXPECT_EQ(batch.rows(), 2U);
  batch.clear();
  EXPECT_EQ(batch.rows(), 0U);
  EXPECT_EQ(add(batch, 1'000), Row::added);
}

TEST(MysqlBulkWriterTest, a_long_row_has_a_batch_to_itself_up_to_a_packet) {
  BulkWriter batch = make({.batch_bytes = 2'000, .packet_bytes = 10'000});
  EXPECT_EQ(add(batch, 5'000), Row::added);
  EXPECT_GE(batch.row_bytes(), 1'000U);
  EXPECT_EQ(add(batch, 1), Row::batch_full);
  batch.clear();
  EXPECT_EQ(add(batch, 10'000), Row::too_large);
  EXPECT_GE(batch.row_bytes(), 10'000U);
  EXPECT_EQ(batch.rows(), 0U);
}

TEST(MysqlBulkWriterTest, a_row_that_was_not_ended_leaves_nothing_behind) {
  BulkWriter batch = make({.batch_bytes = 4'000});
  batch.begin_row();
  batch.text(std::string(5'000, 'x'));
  EXPECT_EQ(add(batch, 1'000), Row::added);
  EXPECT_EQ(add(batch, 1'000), Row::added);
}

}  // namespace
}  // namespace trialwire::storage::mysql
