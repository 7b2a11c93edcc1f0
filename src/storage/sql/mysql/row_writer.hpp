// SPDX-License-Identifier: Apache-2.0
// Records of one kind as rows of a RowBatch: the columns of record_table.hpp that the sink
// fills from the record's attributes, then the mapper's own. One a table, used by its sink's
// thread.
#pragma once
#include <memory>
#include <vector>

#include "base/error.hpp"
#include "journal/record.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/mysql/row_batch.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage::mysql {

class RowWriter {
 public:
  /// The mapper's table must be one of record_tables(), its columns those of it.
  explicit RowWriter(std::unique_ptr<RowMapper> mapper);

  const RecordTable& table() const noexcept { return *table_; }
  /// Of a row, in order.
  const std::vector<RecordColumn>& columns() const noexcept { return columns_; }

  /// Makes the record the batch's row at hand, to be ended by the caller. True: decoded; false: it
  /// is stored as its bytes, with a flag. Errors: invalid_argument, when a number is not finite;
  /// internal, when the mapper gives a value of another type than the column's.
  Result<bool> begin(RowBatch& to, const journal::Record& record);

 private:
  Result<void> write_value(RowBatch& to, const RecordColumn& column, const Value& value) const;

  std::unique_ptr<RowMapper> mapper_;
  const RecordTable* table_;
  std::vector<RecordColumn> columns_;
  std::vector<Value> row_;
};

}  // namespace trialwire::storage::mysql
