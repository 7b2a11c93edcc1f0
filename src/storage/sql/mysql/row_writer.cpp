// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/row_writer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/rfc3339.hpp"

namespace trialwire::storage::mysql {
namespace {

/// In this order by `write_attributes`.
constexpr std::array<std::string_view, 12> attribute_columns{
    "record_id", "journal_id",    "sequence",         "received_at",      "flags",    "principal",
    "origin",    "submission_id", "submission_index", "submission_count", "original", "identity"};

void text_or_null(RowBatch& to, std::string_view text) {
  text.empty() ? to.null() : to.text(text);
}

void identity_or_null(RowBatch& to, const Hash128& identity) {
  if (identity == Hash128{}) return to.null();  // has none: nothing to keep single
  std::array<std::uint64_t, 2> words{identity.low, identity.high};
  to.bytes(std::as_bytes(std::span(words)));
}

const RecordTable& table_of(const RowMapper& mapper) {
  const RecordTable* table = find_record_table(mapper.table().name);
  TW_CHECK(table != nullptr);
  TW_CHECK(std::ranges::equal(common_columns(), attribute_columns, {}, &RecordColumn::name));
  TW_CHECK(std::ranges::equal(table->columns, mapper.table().columns, {}, &RecordColumn::name));
  return *table;
}

}  // namespace

RowWriter::RowWriter(std::unique_ptr<RowMapper> mapper)
    : mapper_(std::move(mapper)),
      table_(&table_of(*mapper_)),
      columns_(common_columns().begin(), common_columns().end()),
      row_(table_->columns.size()) {
  columns_.insert(columns_.end(), table_->columns.begin(), table_->columns.end());
}

Result<bool> RowWriter::begin(RowBatch& to, const journal::Record& record) {
  std::ranges::fill(row_, Value{});
  const bool decoded = mapper_->map(record, row_);
  to.begin_row();
  write_attributes(to, record, decoded);
  for (std::size_t i = 0; i < row_.size(); ++i) {
    if (auto done = write_value(to, table_->columns[i], row_[i]); !done) {
      return std::unexpected(done.error());
    }
  }
  return decoded;
}

void RowWriter::write_attributes(RowBatch& to, const journal::Record& record, bool decoded) {
  const journal::RecordAttributes& attributes = record.attributes;
  std::array<char, 24> received_at{};
  write_rfc3339_ms(attributes.received_ns, received_at.data());
  to.uuid(record_id({record.journal, record.epoch, record.sequence, attributes.received_ns}));
  to.uuid(record.journal);
  to.integer(static_cast<std::int64_t>(record.sequence));
  to.text({received_at.data(), received_at.size()});
  to.integer(attributes.flags | (decoded ? 0 : flag_undecodable));
  text_or_null(to, attributes.principal);
  text_or_null(to, attributes.origin);
  if (attributes.submission == Uuid{}) {
    to.null();
    to.null();
    to.null();
  } else {
    to.uuid(attributes.submission);
    to.integer(std::int64_t{attributes.submission_index});
    to.integer(std::int64_t{attributes.submission_count});
  }
  decoded ? to.null() : to.bytes(record.bytes);
  identity_or_null(to, attributes.identity);
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
