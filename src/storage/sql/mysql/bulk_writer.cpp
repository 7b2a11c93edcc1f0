// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/bulk_writer.hpp"

#include <mysql.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/sql/dialect.hpp"
#include "storage/sql/mysql/connection.hpp"

namespace trialwire::storage::mysql {
namespace {

// In a packet, at most: an indicator and a number or a length for each value, types and a head.
constexpr std::size_t value_bytes_max = 10;
constexpr std::size_t head_bytes_max = 1'024;

}  // namespace

BulkWriter::Form BulkWriter::form_of(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::integer:
      return Form::integer;
    case ColumnType::real:
      return Form::real;
    case ColumnType::bytes:
    case ColumnType::hash:
      return Form::bytes;
    default:
      return Form::text;
  }
}

BulkWriter::BulkWriter(std::string_view table, std::span<const RecordColumn> columns,
                       BatchLimits limits)
    : limits_(limits), sql_(fmt::format("INSERT INTO {} (", quoted(Dialect::mariadb, table))) {
  limits_.batch_bytes = std::min(limits_.batch_bytes, limits_.packet_bytes);
  std::string places;
  for (const RecordColumn& column : columns) {
    std::string_view comma = places.empty() ? "" : ",";
    sql_.append(comma).append(quoted(Dialect::mariadb, column.name));
    places.append(comma).append("?");
    columns_.push_back({.form = form_of(column.type)});
  }
  sql_ += fmt::format(") VALUES ({})", places);
}

void BulkWriter::begin_row() {
  at_ = 0;
  texts_.resize(rows_text_bytes_);
}

BulkWriter::Column& BulkWriter::next_column(char indicator) {
  Column& column = columns_[at_++];
  auto put = [this](auto& values, auto value) {
    if (values.size() <= rows_) values.resize(rows_ + 1);
    values[rows_] = value;
  };
  put(column.indicators, indicator);
  switch (column.form) {
    case Form::integer:
      put(column.integers, std::int64_t{0});
      break;
    case Form::real:
      put(column.reals, 0.0);
      break;
    default:
      put(column.offsets, texts_.size());
      put(column.lengths, 0UL);
  }
  return column;
}

void BulkWriter::null() {
  next_column(STMT_INDICATOR_NULL);
}

void BulkWriter::integer(std::int64_t value) {
  Column& column = next_column(STMT_INDICATOR_NONE);
  if (column.form == Form::real) {
    column.reals[rows_] = static_cast<double>(value);
  } else {
    TW_CHECK(column.form == Form::integer);
    column.integers[rows_] = value;
  }
}

void BulkWriter::real(double value) {
  Column& column = next_column(STMT_INDICATOR_NONE);
  TW_CHECK(column.form == Form::real);
  column.reals[rows_] = value;
}

void BulkWriter::append(std::string_view value) {
  Column& column = next_column(STMT_INDICATOR_NONE);
  TW_CHECK(column.form == Form::text || column.form == Form::bytes);
  column.lengths[rows_] = value.size();
  texts_.append(value);
}

void BulkWriter::text(std::string_view value) {
  append(value);
}

void BulkWriter::bytes(ByteView value) {
  append(as_text(value));
}

void BulkWriter::uuid(const Uuid& value) {
  std::array<char, Uuid::text_size> characters{};
  value.write(characters.data());
  append({characters.data(), characters.size()});
}

std::size_t BulkWriter::row_bytes() const noexcept {
  return head_bytes_max + columns_.size() * value_bytes_max + texts_.size() - rows_text_bytes_;
}

BulkWriter::Row BulkWriter::end_row() {
  TW_CHECK(at_ == columns_.size());
  if (row_bytes() > limits_.packet_bytes) return Row::too_large;
  const std::size_t values = (rows_ + 1) * columns_.size() * value_bytes_max;
  if (rows_ > 0 && head_bytes_max + values + texts_.size() > limits_.batch_bytes) {
    return Row::batch_full;
  }
  ++rows_;
  rows_text_bytes_ = texts_.size();
  return Row::added;
}

std::vector<st_mysql_bind> BulkWriter::binds() {
  std::vector<MYSQL_BIND> binds;
  for (Column& column : columns_) {
    MYSQL_BIND& bind = binds.emplace_back();
    bind.u.indicator = column.indicators.data();
    if (column.form == Form::integer) {
      bind.buffer_type = MYSQL_TYPE_LONGLONG;
      bind.buffer = column.integers.data();
    } else if (column.form == Form::real) {
      bind.buffer_type = MYSQL_TYPE_DOUBLE;
      bind.buffer = column.reals.data();
    } else {
      column.pointers.resize(rows_);
      for (std::size_t i = 0; i < rows_; ++i) {
        column.pointers[i] = texts_.data() + column.offsets[i];
      }
      bind.buffer_type = column.form == Form::text ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
      bind.buffer = static_cast<void*>(column.pointers.data());
      bind.length = column.lengths.data();
    }
  }
  return binds;
}

Result<std::uint64_t> BulkWriter::send(Connection& connection, std::string_view doing,
                                       const Patience& patience) {
  TW_CHECK(rows_ > 0);
  if (!statement_) {
    auto prepared = connection.prepare(sql_, patience);
    if (!prepared) return std::unexpected(prepared.error());
    statement_ = std::move(*prepared);
  }
  auto bound = binds();
  auto changed = statement_->execute_rows(bound, rows_, doing, patience);
  forget_rows(rows_);
  return changed;
}

/// The first ones; what there is of the row at hand becomes the first.
void BulkWriter::forget_rows(std::size_t count) {
  for (std::size_t i = 0; i < at_; ++i) {
    Column& column = columns_[i];
    if (column.indicators.size() <= count) continue;
    column.indicators[0] = column.indicators[count];
    if (column.form == Form::integer) {
      column.integers[0] = column.integers[count];
    } else if (column.form == Form::real) {
      column.reals[0] = column.reals[count];
    } else {
      column.offsets[0] = column.offsets[count] - rows_text_bytes_;
      column.lengths[0] = column.lengths[count];
    }
  }
  texts_.erase(0, rows_text_bytes_);
  rows_text_bytes_ = 0;
  rows_ = 0;
}

void BulkWriter::clear() {
  at_ = 0;
  rows_ = 0;
  rows_text_bytes_ = 0;
  texts_.clear();
}

}  // namespace trialwire::storage::mysql
