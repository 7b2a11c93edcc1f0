// SPDX-License-Identifier: Apache-2.0
// The tables that records go to, the same in every SQL database: names, types and meaning of their
// columns, and the indexes. A dialect (sqlite, postgres, mysql) says how each type is written
// there; its migrations create the tables from here, its sink and its queries look columns up here.
//
// Static and immutable; any thread. A table that was released is changed by a further migration
// step, never in place.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace trialwire::storage {

enum class ColumnType : std::uint8_t {
  uuid,       // its 36 characters in a query's result, whatever the database stores
  key_text,   // at most 255 characters, may be indexed; compared byte by byte, spaces count
  text,       // at most 64 KiB of UTF-8
  json,       // JSON as it was sent, kept byte for byte
  time_text,  // RFC 3339, at most 40 characters, kept as it was sent
  integer,    // 64 bits, signed
  real,       // IEEE 754 double
  bytes,      // at most 16 MiB
  hash,       // exactly 16 bytes
};

struct RecordColumn {
  std::string_view name;
  ColumnType type;
  bool required;           // NOT NULL
  std::string_view field;  // its name in lists and events; empty: it is not in them as it is
  std::string_view meaning;
};

struct RecordIndex {
  std::string_view name;
  std::span<const std::string_view> columns;
};

/// What every table of records has before its own columns. Besides these a database may have a row
/// id (SQLite, MySQL) and keeps `identity` unique in the way that is best there.
std::span<const RecordColumn> common_columns() noexcept;

struct RecordTable {
  std::string_view name;
  std::string_view meaning;
  std::span<const RecordColumn> columns;  // its own, after the common ones
  std::span<const RecordIndex> indexes;   // besides the unique ones of record_id and identity
};

/// In the order in which they were released: the audit trail's is the last one.
std::span<const RecordTable> record_tables() noexcept;

/// Null when there is no such table.
const RecordTable* find_record_table(std::string_view name) noexcept;

}  // namespace trialwire::storage
