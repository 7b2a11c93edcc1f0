// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/row_encoder.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "storage/sql/common_columns.hpp"

namespace trialwire::storage::postgres {
namespace {

bool is_text(ColumnType type) {
  switch (type) {
    case ColumnType::key_text:
    case ColumnType::text:
    case ColumnType::json:
    case ColumnType::time_text:
      return true;
    default:
      return false;
  }
}

}  // namespace

RowEncoder::RowEncoder(std::unique_ptr<RowMapper> mapper)
    : mapper_(std::move(mapper)),
      table_(&table_of(*mapper_)),
      columns_(all_columns(*table_)),
      row_(table_->columns.size()) {}

Result<void> RowEncoder::append_value(CopyEncoder& to, const RecordColumn& column,
                                      const Value& value) const {
  const auto* integer = std::get_if<std::int64_t>(&value);
  const auto* real = std::get_if<double>(&value);
  const auto* text = std::get_if<std::string_view>(&value);
  if (std::holds_alternative<std::monostate>(value)) {
    to.null();
  } else if (text != nullptr && is_text(column.type)) {
    if (text->find('\0') != std::string_view::npos) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("table {}, column {}: PostgreSQL stores no text with U+0000",
                              table_->name, column.name));
    }
    to.text(*text);
  } else if (integer != nullptr && column.type == ColumnType::integer) {
    to.integer(*integer);
  } else if (integer != nullptr && column.type == ColumnType::real) {
    to.real(static_cast<double>(*integer));
  } else if (real != nullptr && column.type == ColumnType::real) {
    to.real(*real);
  } else if (text != nullptr && column.type == ColumnType::bytes) {
    to.text(*text);
  } else {
    return fail(ErrorCode::internal, fmt::format("table {}, column {}: a value of another type",
                                                 table_->name, column.name));
  }
  return {};
}

Result<bool> RowEncoder::append(CopyEncoder& to, const journal::Record& record) {
  std::size_t before = to.size();
  std::ranges::fill(row_, Value{});
  bool decoded = mapper_->map(record, row_);
  to.row(static_cast<std::int16_t>(columns_.size()));
  append_common_columns(to, record, decoded);
  for (std::size_t i = 0; i < row_.size(); ++i) {
    if (auto done = append_value(to, table_->columns[i], row_[i]); !done) {
      to.truncate(before);
      return std::unexpected(done.error());
    }
  }
  return decoded;
}

}  // namespace trialwire::storage::postgres
