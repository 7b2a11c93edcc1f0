// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/schema_page.hpp"

#include <array>
#include <iterator>
#include <span>
#include <string_view>

#include <fmt/format.h>

#include "storage/sql/migrations.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage {
namespace {

constexpr std::string_view introduction =
    "# The schema\n\n"
    "Written by `trialwire db reference`; a test compares.\n\n"
    "Records are in five tables, the same in SQLite, PostgreSQL, MySQL and MariaDB. They are only\n"
    "ever inserted: what arrives twice, by `record_id` or by `identity`, adds no row. The schema "
    "is\n"
    "brought up to date by `trialwire serve` when it opens the database, or by\n"
    "`trialwire db migrate`, in numbered steps under a lock; `trialwire db status` says which it\n"
    "has. A program refuses a schema that is newer than it knows. Other programs may read all of\n"
    "it, and add indexes, views and grants of their own; the columns below stay.\n\n"
    "Every table of records has a row id, `id`, that grows with arrival. A list is in the order "
    "of\n"
    "`timestamp_ns`, then `id`. Texts of at most 255 characters are compared byte by byte, "
    "trailing\n"
    "spaces count. Texts of times are kept as they were sent; `timestamp_ns` is the same instant "
    "in\n"
    "nanoseconds since 1970-01-01T00:00:00Z.\n\n"
    "`identity` is 16 bytes: low and high word of the hash, little-endian; NULL: nothing tells "
    "this\n"
    "record from another. SQLite keeps it in a table of its own beside each "
    "(`epro_report_identities`\n"
    "…: `identity`, and the `id` of its row), where it costs half as much.\n";

constexpr std::string_view keeping =
    "\n## Tables of the program itself\n\n"
    "| table | column | meaning |\n"
    "| --- | --- | --- |\n"
    "| `sink_cursors` | `sink`, `lane` | whose: `sqlite`, `postgres` or `mysql`, and which of its "
    "lanes, from 0 |\n"
    "| | `journal_id` | of the journal that it reads |\n"
    "| | `next_sequence` | everything before it that is this lane's is in the tables; written in "
    "the transaction that wrote the rows |\n"
    "| `secrets` | `name`, `value` | `page_cursor`: the key under which the cursors of lists are "
    "made, 16 random bytes |\n"
    "| `deleted_rows` | `table_name`, `id_max` | SQLite only: the highest `id` of the rows that "
    "were deleted by hand; no row gets such a one again |\n"
    "| `schema_migrations` | `version`, `name`, `applied_at` | the steps below that were applied, "
    "and when |\n";

std::string escaped(std::string_view text) {
  std::string cell;
  for (char c : text) {
    if (c == '|') cell += '\\';
    cell += c;
  }
  return cell;
}

void append_columns(std::string& to, std::span<const RecordColumn> columns) {
  to +=
      "\n| column | in lists | SQLite | PostgreSQL | MySQL, MariaDB | meaning |\n"
      "| --- | --- | --- | --- | --- | --- |\n";
  for (const RecordColumn& column : columns) {
    std::string_view required = column.required ? ", not NULL" : "";
    bool apart = column.type == ColumnType::hash;
    fmt::format_to(std::back_inserter(to), "| `{}` | {} | {}{} | {}{} | {}{} | {} |\n", column.name,
                   column.field.empty() ? "" : fmt::format("`{}`", column.field),
                   apart ? "own table" : column_type(Dialect::sqlite, column.type),
                   apart ? "" : required, column_type(Dialect::postgres, column.type), required,
                   column_type(Dialect::mysql, column.type), required, escaped(column.meaning));
  }
}

void append_migrations(std::string& to, Dialect dialect) {
  fmt::format_to(std::back_inserter(to), "\n### {}\n", dialect_name(dialect));
  std::int64_t version = 0;
  for (const MigrationStep& step : migrations(dialect)) {
    fmt::format_to(std::back_inserter(to), "\nStep {}, {}:\n\n```sql\n", ++version, step.name);
    for (std::string_view statement : step.statements) {
      while (statement.starts_with('\n')) statement.remove_prefix(1);
      while (statement.ends_with('\n') || statement.ends_with(';')) statement.remove_suffix(1);
      to.append(statement).append(";\n");
    }
    to += "```\n";
  }
}

}  // namespace

std::string schema_markdown() {
  std::string text(introduction);
  text += "\n## Columns of every table of records\n";
  append_columns(text, common_columns());
  for (const RecordTable& table : record_tables()) {
    fmt::format_to(std::back_inserter(text), "\n## {}\n\nAfter the common columns: {}.\n",
                   table.name, table.meaning);
    append_columns(text, table.columns);
  }
  text += keeping;
  text +=
      "\n## Migrations\n\n"
      "Before the first step `schema_migrations` is made. MySQL's statements differ from MariaDB's "
      "in\nthe collation only: `utf8mb4_0900_bin` in place of `utf8mb4_nopad_bin`.\n";
  for (Dialect dialect : {Dialect::sqlite, Dialect::postgres, Dialect::mariadb}) {
    append_migrations(text, dialect);
  }
  return text;
}

}  // namespace trialwire::storage
