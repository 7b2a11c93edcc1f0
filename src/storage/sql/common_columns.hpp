// SPDX-License-Identifier: Apache-2.0
// The columns that every table of records has (record_table.hpp), filled from a record's
// attributes, for the servers' sinks. Plain functions.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/rfc3339.hpp"
#include "journal/record.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage {

/// The mapper's table, which must be one of record_tables(), with the same columns.
const RecordTable& table_of(const RowMapper& mapper);

/// Of a row: the common ones as `append_common_columns` fills them, then the table's own.
std::vector<RecordColumn> all_columns(const RecordTable& table);

/// `Row` has null, text, integer, uuid and bytes, each for the next column. `decoded`: whether the
/// record's own columns can be filled; if not, it is kept as its bytes, with a flag.
template <typename Row>
void append_common_columns(Row& to, const journal::Record& record, bool decoded) {
  const journal::RecordAttributes& attributes = record.attributes;
  const auto text_or_null = [&to](std::string_view text) {
    text.empty() ? to.null() : to.text(text);
  };
  std::array<char, 24> received_at{};
  write_rfc3339_ms(attributes.received_ns, received_at.data());
  to.uuid(record_id({record.journal, record.epoch, record.sequence, attributes.received_ns}));
  to.uuid(record.journal);
  to.integer(static_cast<std::int64_t>(record.sequence));
  to.text({received_at.data(), received_at.size()});
  to.integer(attributes.flags | (decoded ? 0 : flag_undecodable));
  text_or_null(attributes.principal);
  text_or_null(attributes.origin);
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
  if (attributes.identity == Hash128{}) return to.null();  // has none: nothing to keep single
  const std::array<std::uint64_t, 2> words{attributes.identity.low, attributes.identity.high};
  to.bytes(std::as_bytes(std::span(words)));
}

}  // namespace trialwire::storage
