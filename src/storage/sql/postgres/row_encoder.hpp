// SPDX-License-Identifier: Apache-2.0
// Records of one kind as rows of a binary COPY: the columns of record_table.hpp that the sink fills
// from the record's attributes, then the mapper's own. One a table, used by its sink's thread; no
// row allocates once the buffer is warm.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "journal/record.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/postgres/copy_encoder.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage::postgres {

class RowEncoder {
 public:
  /// The mapper's table must be one of record_tables(), its columns those of it.
  explicit RowEncoder(std::unique_ptr<RowMapper> mapper);

  journal::RecordKind kind() const noexcept { return mapper_->kind(); }
  const RecordTable& table() const noexcept { return *table_; }
  /// Name and type of each, in the order in which `append` writes them.
  const std::vector<RecordColumn>& columns() const noexcept { return columns_; }

  /// True: decoded; false: stored as its bytes, with a flag. Errors: invalid_argument, when a text
  /// holds U+0000, which PostgreSQL cannot store; internal, when the mapper gives a value of
  /// another type than the column's. `to` then has nothing of the row.
  Result<bool> append(CopyEncoder& to, const journal::Record& record);

 private:
  Result<void> append_value(CopyEncoder& to, const RecordColumn& column, const Value& value) const;

  std::unique_ptr<RowMapper> mapper_;
  const RecordTable* table_;
  std::vector<RecordColumn> columns_;
  std::vector<Value> row_;
};

}  // namespace trialwire::storage::postgres
