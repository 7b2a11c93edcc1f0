// SPDX-License-Identifier: Apache-2.0
// How each SQL database writes what they all have: names, types, and the tables of records. Pure
// functions; any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/sql/record_table.hpp"

namespace trialwire::storage {

/// MariaDB and MySQL differ in the name of the collation that compares text byte by byte.
enum class Dialect : std::uint8_t { sqlite, postgres, mysql, mariadb };

constexpr bool is_mysql(Dialect dialect) noexcept {
  return dialect == Dialect::mysql || dialect == Dialect::mariadb;
}

/// "SQLite", "PostgreSQL", …
std::string_view dialect_name(Dialect dialect) noexcept;

/// A name of a table or column as it stands in a statement: some of ours are words of SQL.
std::string quoted(Dialect dialect, std::string_view name);

std::string_view column_type(Dialect dialect, ColumnType type) noexcept;

/// The statements that create the table with its indexes; each of them whole or not at all. Every
/// table has a row id, `id`, which grows in the order of arrival and ends the order of a list.
/// SQLite keeps identities in a table of their own, the others in the column `identity`.
std::vector<std::string> create_table(Dialect dialect, const RecordTable& table);

/// SQLite's: "epro_report_identities" of "epro_reports".
std::string identities_table(const RecordTable& table);

}  // namespace trialwire::storage
