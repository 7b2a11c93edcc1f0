// SPDX-License-Identifier: Apache-2.0
// Rows as arrays bound to one prepared INSERT, a column each: MariaDB executes it for all of them
// in one exchange, without parsing a text. Only where ServerFacts::takes_arrays.
//
// A plain INSERT: a row that is there already fails it (error_duplicate_key), and an InsertWriter
// must take the delivery. With ON DUPLICATE KEY UPDATE rows were lost: where some rows of an array
// are duplicates, MariaDB 10.11 gives later ones row ids that another transaction has reserved, and
// takes those for duplicates, too.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "storage/sql/mysql/row_batch.hpp"
#include "storage/sql/mysql/statement.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage::mysql {

class BulkWriter final : public RowBatch {
 public:
  BulkWriter(std::string_view table, std::span<const RecordColumn> columns, BatchLimits limits);

  void begin_row() override;
  void null() override;
  void integer(std::int64_t value) override;
  void real(double value) override;
  void text(std::string_view value) override;
  void bytes(ByteView value) override;
  void uuid(const Uuid& value) override;
  Row end_row() override;
  std::size_t row_bytes() const noexcept override;
  std::size_t rows() const noexcept override { return rows_; }
  Result<std::uint64_t> send(Connection& connection, std::string_view doing,
                             const Patience& patience) override;
  void clear() override;

 private:
  enum class Form : std::uint8_t { integer, real, text, bytes };

  /// Values of a column, by row. Texts and bytes are in `texts_`, from `offset` on.
  struct Column {
    Form form;
    std::vector<std::int64_t> integers;
    std::vector<double> reals;
    std::vector<std::size_t> offsets;
    std::vector<unsigned long> lengths;
    std::vector<char*> pointers;
    std::vector<char> indicators;
  };

  static Form form_of(ColumnType type) noexcept;
  Column& next_column(char indicator);
  void append(std::string_view value);
  void forget_rows(std::size_t count);
  std::vector<st_mysql_bind> binds();

  BatchLimits limits_;
  std::string sql_;
  std::optional<Statement> statement_;
  std::vector<Column> columns_;
  std::string texts_;
  std::size_t rows_ = 0;
  std::size_t rows_text_bytes_ = 0;  // of the rows that were added; those of the one at hand follow
  std::size_t at_ = 0;               // the next column of the row at hand
};

}  // namespace trialwire::storage::mysql
