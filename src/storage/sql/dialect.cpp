// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/dialect.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::storage {
namespace {

struct Line {
  std::string name;
  std::string definition;
};

/// "  name  definition" for each, in two columns.
std::string body(std::span<const Line> lines) {
  std::size_t width = 0;
  for (const Line& line : lines) width = std::max(width, line.name.size());
  std::string text;
  for (const Line& line : lines) {
    if (!text.empty()) text += ",\n";
    text += fmt::format("  {:<{}} {}", line.name, width, line.definition);
  }
  return text;
}

std::string definition(Dialect dialect, const RecordColumn& column) {
  std::string text(column_type(dialect, column.type));
  if (column.required) text += " NOT NULL";
  return text;
}

std::vector<Line> column_lines(Dialect dialect, const RecordTable& table) {
  std::vector<Line> lines;
  auto add = [&](const RecordColumn& column) {
    if (dialect == Dialect::sqlite && column.type == ColumnType::hash) return;
    Line line{quoted(dialect, column.name), definition(dialect, column)};
    bool unique = column.name == "record_id" || column.name == "identity";
    if (unique && dialect == Dialect::postgres) {
      line.definition = std::string(column_type(dialect, column.type));
      line.definition += column.required ? " PRIMARY KEY" : " UNIQUE";
    } else if (unique && dialect == Dialect::sqlite) {
      line.definition += " UNIQUE";
    }
    lines.push_back(std::move(line));
  };
  for (const RecordColumn& column : common_columns()) add(column);
  for (const RecordColumn& column : table.columns) add(column);
  return lines;
}

std::string index_columns(Dialect dialect, const RecordIndex& index) {
  std::string text;
  for (std::string_view column : index.columns) {
    text += (text.empty() ? "" : ", ") + quoted(dialect, column);
  }
  // The others' indexes end with the row id anyway.
  if (dialect == Dialect::postgres) text += ", " + quoted(dialect, "id");
  return text;
}

std::vector<std::string> create_sqlite(const RecordTable& table) {
  auto lines = column_lines(Dialect::sqlite, table);
  lines.insert(lines.begin(), {"id", "INTEGER PRIMARY KEY"});
  return {fmt::format("CREATE TABLE {} (\n{}\n) STRICT", table.name, body(lines)),
          fmt::format("CREATE TABLE {} (\n  identity BLOB PRIMARY KEY NOT NULL,\n"
                      "  id       INTEGER NOT NULL\n) STRICT, WITHOUT ROWID",
                      identities_table(table))};
}

std::vector<std::string> create_postgres(const RecordTable& table) {
  auto lines = column_lines(Dialect::postgres, table);
  lines.insert(lines.begin(),
               {quoted(Dialect::postgres, "id"), "bigint GENERATED ALWAYS AS IDENTITY"});
  return {
      fmt::format("CREATE TABLE {} (\n{}\n)", quoted(Dialect::postgres, table.name), body(lines))};
}

/// With its indexes, since each statement commits by itself.
std::string create_mysql(Dialect dialect, const RecordTable& table) {
  auto lines = column_lines(dialect, table);
  lines.insert(lines.begin(),
               {quoted(dialect, "id"), "bigint NOT NULL AUTO_INCREMENT PRIMARY KEY"});
  std::string text =
      fmt::format("CREATE TABLE IF NOT EXISTS {} (\n{}", quoted(dialect, table.name), body(lines));
  for (std::string_view unique : {"record_id", "identity"}) {
    text += fmt::format(",\n  UNIQUE KEY {} ({})",
                        quoted(dialect, fmt::format("{}_{}", table.name, unique)),
                        quoted(dialect, unique));
  }
  for (const RecordIndex& index : table.indexes) {
    text +=
        fmt::format(",\n  KEY {} ({})", quoted(dialect, index.name), index_columns(dialect, index));
  }
  text += fmt::format("\n) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE={}",
                      dialect == Dialect::mariadb ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin");
  return text;
}

std::string_view sqlite_type(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::integer:
      return "INTEGER";
    case ColumnType::real:
      return "REAL";
    case ColumnType::bytes:
    case ColumnType::hash:
      return "BLOB";
    default:
      return "TEXT";
  }
}

std::string_view postgres_type(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::uuid:
      return "uuid";
    case ColumnType::key_text:
      return "text COLLATE \"C\"";
    case ColumnType::integer:
      return "bigint";
    case ColumnType::real:
      return "double precision";
    case ColumnType::bytes:
    case ColumnType::hash:
      return "bytea";
    default:
      return "text";
  }
}

std::string_view mysql_type(ColumnType type) noexcept {
  switch (type) {
    case ColumnType::uuid:
      return "char(36) CHARACTER SET ascii COLLATE ascii_bin";
    case ColumnType::key_text:
      return "varchar(255)";  // the table's collation
    case ColumnType::text:
    case ColumnType::json:
      return "mediumtext";
    case ColumnType::time_text:
      return "varchar(40) CHARACTER SET ascii COLLATE ascii_bin";
    case ColumnType::integer:
      return "bigint";
    case ColumnType::real:
      return "double";
    case ColumnType::bytes:
      return "longblob";
    case ColumnType::hash:
      return "binary(16)";
  }
  return "";
}

}  // namespace

std::string_view dialect_name(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::sqlite:
      return "SQLite";
    case Dialect::postgres:
      return "PostgreSQL";
    case Dialect::mysql:
      return "MySQL";
    case Dialect::mariadb:
      return "MariaDB";
  }
  return "";
}

std::string quoted(Dialect dialect, std::string_view name) {
  if (dialect == Dialect::sqlite) return std::string(name);
  return fmt::format("{0}{1}{0}", is_mysql(dialect) ? '`' : '"', name);
}

std::string_view column_type(Dialect dialect, ColumnType type) noexcept {
  if (dialect == Dialect::sqlite) return sqlite_type(type);
  return dialect == Dialect::postgres ? postgres_type(type) : mysql_type(type);
}

std::vector<std::string> create_table(Dialect dialect, const RecordTable& table) {
  if (is_mysql(dialect)) return {create_mysql(dialect, table)};
  auto statements = dialect == Dialect::sqlite ? create_sqlite(table) : create_postgres(table);
  for (const RecordIndex& index : table.indexes) {
    statements.push_back(fmt::format("CREATE INDEX {} ON {} ({})", quoted(dialect, index.name),
                                     quoted(dialect, table.name), index_columns(dialect, index)));
  }
  return statements;
}

std::string identities_table(const RecordTable& table) {
  TW_CHECK(table.name.ends_with('s'));
  return std::string(table.name.substr(0, table.name.size() - 1)) + "_identities";
}

}  // namespace trialwire::storage
