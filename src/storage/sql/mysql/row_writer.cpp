// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/row_writer.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "storage/sql/common_columns.hpp"

namespace trialwire::storage::mysql {

RowWriter::RowWriter(std::unique_ptr<RowMapper> mapper)
    : mapper_(std::move(mapper)),
      table_(&table_of(*mapper_)),
      columns_(all_columns(*table_)),
      row_(table_->columns.size()) {}

Result<bool> RowWriter::begin(RowBatch& to, const journal::Record& record) {
  std::ranges::fill(row_, Value{});
  const bool decoded = mapper_->map(record, row_);
  to.begin_row();
  append_common_columns(to, record, decoded);
  for (std::size_t i = 0; i < row_.size(); ++i) {
    if (auto done = write_value(to, table_->columns[i], row_[i]); !done) {
      return std::unexpected(done.error());
    }
  }
  return decoded;
}

Result<void> RowWriter::write_value(RowBatch& to, const RecordColumn& column,
                                    const Value& value) const {
  const bool number = column.type == ColumnType::real || column.type == ColumnType::integer;
  if (std::holds_alternative<std::monostate>(value)) {
    to.null();
  } else if (const auto* text = std::get_if<std::string_view>(&value); text && !number) {
    column.type == ColumnType::bytes ? to.bytes(as_bytes(*text)) : to.text(*text);
  } else if (const auto* integer = std::get_if<std::int64_t>(&value); integer && number) {
    to.integer(*integer);
  } else if (const auto* real = std::get_if<double>(&value);
             real && column.type == ColumnType::real) {
    if (!std::isfinite(*real)) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("table {}, column {}: a number that is not finite", table_->name,
                              column.name));
    }
    to.real(*real);
  } else {
    return fail(ErrorCode::internal, fmt::format("table {}, column {}: a value of another type",
                                                 table_->name, column.name));
  }
  return {};
}

}  // namespace trialwire::storage::mysql
