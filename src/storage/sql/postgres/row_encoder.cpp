// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/row_encoder.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/rfc3339.hpp"

namespace trialwire::storage::postgres {
namespace {

/// In this order by `append_attributes`.
constexpr std::array<std::string_view, 12> attribute_columns{
    "record_id", "journal_id",    "sequence",         "received_at",      "flags",    "principal",
    "origin",    "submission_id", "submission_index", "submission_count", "original", "identity"};

void append_text_or_null(CopyEncoder& to, std::string_view text) {
  text.empty() ? to.null() : to.text(text);
}

void append_identity(CopyEncoder& to, const Hash128& identity) {
  if (identity == Hash128{}) return to.null();  // has none: nothing to keep single
  std::array<std::uint64_t, 2> words{identity.low, identity.high};
  to.bytes(std::as_bytes(std::span(words)));
}

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
      table_(find_record_table(mapper_->table().name)),
      row_(mapper_->table().columns.size()) {
  TW_CHECK(table_ != nullptr);
  TW_CHECK(std::ranges::equal(common_columns(), attribute_columns, {}, &RecordColumn::name));
  TW_CHECK(std::ranges::equal(table_->columns, mapper_->table().columns, {}, &RecordColumn::name));
  columns_.assign(common_columns().begin(), common_columns().end());
  columns_.insert(columns_.end(), table_->columns.begin(), table_->columns.end());
}

void RowEncoder::append_attributes(CopyEncoder& to, const journal::Record& record, bool decoded) {
  const journal::RecordAttributes& attributes = record.attributes;
  std::array<char, 24> received_at{};
  write_rfc3339_ms(attributes.received_ns, received_at.data());
  to.uuid(record_id({record.journal, record.epoch, record.sequence, attributes.received_ns}));
  to.uuid(record.journal);
  to.integer(static_cast<std::int64_t>(record.sequence));
  to.text({received_at.data(), received_at.size()});
  to.integer(attributes.flags | (decoded ? 0 : flag_undecodable));
  append_text_or_null(to, attributes.principal);
  append_text_or_null(to, attributes.origin);
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
  append_identity(to, attributes.identity);
}

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
  append_attributes(to, record, decoded);
  for (std::size_t i = 0; i < row_.size(); ++i) {
    if (auto done = append_value(to, table_->columns[i], row_[i]); !done) {
      to.truncate(before);
      return std::unexpected(done.error());
    }
  }
  return decoded;
}

}  // namespace trialwire::storage::postgres
