// SPDX-License-Identifier: Apache-2.0
// Rows as the text of multi-row INSERT statements, for a session with NO_BACKSLASH_ESCAPES and
// utf8mb4 (connection.hpp): there, in a quoted text only ' is special.
//
//   INSERT INTO `t` (`a`,…) VALUES (…),(…) ON DUPLICATE KEY UPDATE `flags`=IF(same
//   row,`flags`,NULL)
//
// A row whose record id or identity is there already changes nothing and fails nothing. One that
// any other unique key refuses (an operator's) fails the statement: `flags` cannot be NULL. Then
// the same is sent without the assignment, so that the error names the key; the caller rolls back.
// INSERT IGNORE would also take values that do not fit their columns, cut to what does.
#pragma once
#include <span>
#include <string>

#include "storage/sql/mysql/row_batch.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage::mysql {

class InsertWriter final : public RowBatch {
 public:
  InsertWriter(std::string_view table, std::span<const RecordColumn> columns, BatchLimits limits);

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

  /// The whole statement of the rows that were added; valid until the next row is. Then a new one
  /// begins.
  std::string_view take();

 private:
  void separate() { row_ += row_.empty() ? '(' : ','; }
  void quote(std::string_view value);

  BatchLimits limits_;
  std::string head_;
  std::string row_;
  std::string statement_;
  std::size_t rows_ = 0;
};

}  // namespace trialwire::storage::mysql
