// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/page_writer.hpp"

#include <cmath>
#include <iterator>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/item_json.hpp"
#include "storage/json_text.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/list_select.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage {
namespace {

const RecordTable& table_of(const ListShape& shape) {
  const RecordTable* table = find_record_table(shape.table);
  TW_CHECK(table != nullptr);
  return *table;
}

Value value_of(const RecordColumn& column, const ListRow& row, int at) {
  if (row.is_null(at)) return {};
  switch (column.type) {
    case ColumnType::integer:
      return row.integer(at);
    case ColumnType::real: {
      // Intake lets no infinity in, and JSON has none.
      double value = row.real(at);
      return std::isfinite(value) ? Value(value) : Value();
    }
    default:
      return row.text(at);
  }
}

}  // namespace

SipKey list_key(SipKey database_key, const ListShape& shape) noexcept {
  auto number = static_cast<std::uint64_t>(&table_of(shape) - record_tables().data());
  return {database_key.k0, database_key.k1 ^ number};
}

Result<std::optional<PagePosition>> page_begin(const ListShape& shape, const ListFilter& filter,
                                               SipKey database_key) {
  if (filter.limit < 1 || filter.limit > list_limit_max) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("limit: must be from 1 to {}", list_limit_max));
  }
  std::optional<PagePosition> begin;
  if (filter.cursor.empty()) return begin;
  begin = decode_page_cursor(filter.cursor, list_key(database_key, shape));
  if (!begin) return fail(ErrorCode::invalid_argument, "cursor: is not one of this list");
  return begin;
}

PageWriter::PageWriter(const ListShape& shape, const ListFilter& filter, std::size_t bytes_max)
    : shape_(shape),
      fields_(list_fields(table_of(shape))),
      limit_(filter.limit),
      bytes_max_(bytes_max) {
  page_.json = "{\"items\":[";
}

bool PageWriter::add(const ListRow& row) {
  if (page_.items == limit_ || page_.json.size() >= bytes_max_) {
    more_ = true;
    return false;
  }
  if (page_.items > 0) page_.json += ',';
  append_item(row);
  last_ = {row.integer(list_timestamp_ns), row.integer(list_row_id)};
  ++page_.items;
  return true;
}

void PageWriter::append_item(const ListRow& row) {
  std::string& to = page_.json;
  to += "{\"recordId\":";
  append_json_string(to, row.text(list_record_id));
  fmt::format_to(std::back_inserter(to), ",\"sequence\":{}", row.integer(list_sequence));
  to += ",\"receivedAt\":";
  append_json_string(to, row.text(list_received_at));
  int at = list_first_field;
  for (const RecordColumn* field : fields_) {
    append_member(to, *field, value_of(*field, row, at));
    ++at;
  }
  append_flags(to, row.integer(list_flags), shape_.flag_names);
  to += '}';
}

ListPage PageWriter::finish(SipKey database_key) {
  page_.json += "],\"next\":";
  if (more_) {
    append_json_string(page_.json, encode_page_cursor(last_, list_key(database_key, shape_)));
  } else {
    page_.json += "null";
  }
  page_.json += '}';
  return std::move(page_);
}

}  // namespace trialwire::storage
