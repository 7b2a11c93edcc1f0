// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/insert_writer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace trialwire::storage::mysql {
namespace {

using Row = RowBatch::Row;

constexpr std::array<RecordColumn, 1> one_column{{{"a", ColumnType::text, false, "", ""}}};
constexpr std::string_view head = "INSERT INTO `t` (`a`) VALUES ";
constexpr std::string_view tail =
    " ON DUPLICATE KEY UPDATE `flags`=IF(`record_id`=VALUES(`record_id`) OR "
    "`identity`=VALUES(`identity`),`flags`,NULL)";

class MysqlInsertWriterTest : public testing::Test {
 protected:
  static InsertWriter make(BatchLimits limits) { return {"t", one_column, limits}; }
  /// The values of a statement with one row.
  template <typename Add>
  std::string values(Add add) {
    writer.begin_row();
    add();
    EXPECT_EQ(writer.end_row(), Row::added);
    std::string statement(writer.take());
    EXPECT_TRUE(statement.starts_with(head) && statement.ends_with(tail)) << statement;
    return statement.substr(head.size(), statement.size() - head.size() - tail.size());
  }
  std::string text(std::string_view value) {
    return values([&] { writer.text(value); });
  }
  std::string real(double value) {
    return values([&] { writer.real(value); });
  }

  InsertWriter writer = make({});
};

TEST_F(MysqlInsertWriterTest, rows_follow_one_another_in_one_statement) {
  constexpr std::array<RecordColumn, 3> columns{{{"a", ColumnType::integer, true, "", ""},
                                                 {"b", ColumnType::text, false, "", ""},
                                                 {"sequence", ColumnType::text, true, "", ""}}};
  InsertWriter three("epro_reports", columns, {});
  for (std::int64_t i = 1; i <= 2; ++i) {
    three.begin_row();
    three.integer(i);
    three.null();
    three.text("x");
    EXPECT_EQ(three.end_row(), Row::added);
  }
  EXPECT_EQ(three.rows(), 2U);
  EXPECT_EQ(three.take(),
            "INSERT INTO `epro_reports` (`a`,`b`,`sequence`) VALUES (1,NULL,'x'),(2,NULL,'x')" +
                std::string(tail));
  EXPECT_EQ(three.rows(), 0U);
}

TEST_F(MysqlInsertWriterTest, only_the_quote_is_special_in_a_text) {
  EXPECT_EQ(text(""), "('')");
  EXPECT_EQ(text("it's"), "('it''s')");
  EXPECT_EQ(text("''"), "('''''')");
  EXPECT_EQ(text("'; DROP TABLE t; --"), "('''; DROP TABLE t; --')");
  EXPECT_EQ(text("a\\"), "('a\\')");
  EXPECT_EQ(text("\\'"), "('\\''')");
  EXPECT_EQ(text("ü 😀\n\t\"%_?"), "('ü 😀\n\t\"%_?')");
  using namespace std::string_view_literals;
  EXPECT_EQ(text("a\0b"sv), "('a\0b')"sv);
}

TEST_F(MysqlInsertWriterTest, bytes_are_told_from_text) {
  constexpr std::array<std::uint8_t, 4> some{0x00, 0xff, 0x27, 0x5c};
  using namespace std::string_view_literals;
  EXPECT_EQ(values([&] { writer.bytes(std::as_bytes(std::span(some))); }),
            "(_binary'\0\xff''\\')"sv);
}

TEST_F(MysqlInsertWriterTest, a_real_is_written_as_the_double_that_it_is) {
  EXPECT_EQ(real(0.1), "(0.1e0)");
  EXPECT_EQ(real(80), "(80e0)");
  EXPECT_EQ(real(-0.0), "(-0e0)");
  EXPECT_EQ(real(1e300), "(1e+300)");
  EXPECT_EQ(real(5e-324), "(5e-324)");
  EXPECT_EQ(real(std::numeric_limits<double>::max()), "(1.7976931348623157e+308)");
}

TEST_F(MysqlInsertWriterTest, integers_and_ids_are_written_whole) {
  EXPECT_EQ(values([&] { writer.integer(std::numeric_limits<std::int64_t>::min()); }),
            "(-9223372036854775808)");
  Uuid id = *Uuid::parse("00112233-4455-6677-8899-aabbccddeeff");
  EXPECT_EQ(values([&] { writer.uuid(id); }), "('00112233-4455-6677-8899-aabbccddeeff')");
}

TEST_F(MysqlInsertWriterTest, a_statement_ends_before_it_is_too_long) {
  const std::size_t two_rows = head.size() + std::string_view("('x'),('x')").size() + tail.size();
  writer = make({.batch_bytes = two_rows});
  auto add = [this] {
    writer.begin_row();
    writer.text("x");
    return writer.end_row();
  };
  EXPECT_EQ(add(), Row::added);
  EXPECT_EQ(add(), Row::added);
  EXPECT_EQ(add(), Row::batch_full);
  EXPECT_EQ(writer.take().size(), two_rows);
  EXPECT_EQ(writer.end_row(), Row::added) << "the same row, in a statement of its own";
  EXPECT_EQ(writer.rows(), 1U);
}

TEST_F(MysqlInsertWriterTest, a_long_row_has_a_statement_to_itself_up_to_a_packet) {
  writer = make({.batch_bytes = 150, .packet_bytes = 300});
  writer.begin_row();
  writer.text(std::string(100, 'x'));
  EXPECT_EQ(writer.end_row(), Row::added);
  const std::size_t bytes = writer.row_bytes();
  EXPECT_EQ(writer.take().size(), bytes);
  writer.begin_row();
  writer.text(std::string(200, 'x'));
  EXPECT_EQ(writer.end_row(), Row::too_large);
  EXPECT_EQ(writer.rows(), 0U);
}

TEST_F(MysqlInsertWriterTest, rows_of_a_delivery_that_failed_are_forgotten) {
  writer.begin_row();
  writer.text("of before");
  EXPECT_EQ(writer.end_row(), Row::added);
  writer.clear();
  EXPECT_EQ(text("x"), "('x')");
}

}  // namespace
}  // namespace trialwire::storage::mysql
