// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/insert_writer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/sql/dialect.hpp"
#include "storage/sql/mysql/connection.hpp"
#include "storage/sql/mysql/error_number.hpp"

namespace trialwire::storage::mysql {
namespace {

// An assignment that changes nothing: the row that is there stays as it is, and is not counted.
constexpr std::string_view tail =
    " ON DUPLICATE KEY UPDATE `flags`=IF(`record_id`=VALUES(`record_id`) OR "
    "`identity`=VALUES(`identity`),`flags`,NULL)";

}  // namespace

InsertWriter::InsertWriter(std::string_view table, std::span<const RecordColumn> columns,
                           BatchLimits limits)
    : limits_(limits), head_(fmt::format("INSERT INTO {} (", quoted(Dialect::mysql, table))) {
  limits_.batch_bytes = std::min(limits_.batch_bytes, limits_.packet_bytes);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    head_.append(i == 0 ? "" : ",").append(quoted(Dialect::mysql, columns[i].name));
  }
  head_ += ") VALUES ";
}

void InsertWriter::begin_row() {
  row_.clear();
}

void InsertWriter::null() {
  separate();
  row_ += "NULL";
}

void InsertWriter::integer(std::int64_t value) {
  separate();
  fmt::format_to(std::back_inserter(row_), "{}", value);
}

/// With an exponent: without one it would be read as a decimal, rounded to a double afterwards.
void InsertWriter::real(double value) {
  TW_CHECK(std::isfinite(value));
  separate();
  std::size_t begin = row_.size();
  fmt::format_to(std::back_inserter(row_), "{}", value);
  if (row_.find('e', begin) == std::string::npos) row_ += "e0";
}

void InsertWriter::text(std::string_view value) {
  separate();
  quote(value);
}

void InsertWriter::bytes(ByteView value) {
  separate();
  row_ += "_binary";
  quote(as_text(value));
}

void InsertWriter::uuid(const Uuid& value) {
  std::array<char, Uuid::text_size> characters{};
  value.write(characters.data());
  separate();
  row_ += '\'';
  row_.append(characters.data(), characters.size());
  row_ += '\'';
}

void InsertWriter::quote(std::string_view value) {
  row_ += '\'';
  while (true) {
    std::size_t special = value.find('\'');
    if (special == std::string_view::npos) break;
    row_.append(value, 0, special + 1) += '\'';
    value.remove_prefix(special + 1);
  }
  row_.append(value) += '\'';
}

std::size_t InsertWriter::row_bytes() const noexcept {
  return head_.size() + row_.size() + 1 + tail.size();
}

InsertWriter::Row InsertWriter::end_row() {
  TW_CHECK(!row_.empty());
  if (row_bytes() > limits_.packet_bytes) return Row::too_large;
  if (rows_ == 0) {
    statement_ = head_;
  } else if (statement_.size() + row_.size() + 2 + tail.size() > limits_.batch_bytes) {
    return Row::batch_full;
  }
  if (rows_ > 0) statement_ += ',';
  statement_.append(row_) += ')';
  ++rows_;
  return Row::added;
}

std::string_view InsertWriter::take() {
  TW_CHECK(rows_ > 0);
  rows_ = 0;
  return statement_ += tail;
}

Result<std::uint64_t> InsertWriter::send(Connection& connection, std::string_view doing,
                                         const Patience& patience) {
  auto done = connection.run(take(), doing, patience);
  if (done || connection.error_number() != error_no_value) return done;
  // The assignment's: the server says which key it is where it is to refuse it by itself.
  const auto plain = std::string_view(statement_).substr(0, statement_.size() - tail.size());
  auto again = connection.run(plain, doing, patience);
  return again ? done : again;
}

void InsertWriter::clear() {
  rows_ = 0;
}

}  // namespace trialwire::storage::mysql
