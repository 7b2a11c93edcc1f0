// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "sink_floor.hpp"

namespace trialwire::floor {
namespace {

class Connection {
 public:
  explicit Connection(const std::string& path) {
    check(sqlite3_open(path.c_str(), &handle_), "open");
  }
  ~Connection() { sqlite3_close(handle_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void check(int code, const char* what) const {
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE) return;
    fmt::print(stderr, "sink_floor: {}: {}\n", what, sqlite3_errmsg(handle_));
    std::exit(1);
  }
  void execute(const std::string& sql) const {
    check(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr), sql.c_str());
  }
  sqlite3_stmt* prepare(const std::string& sql) const {
    sqlite3_stmt* statement = nullptr;
    check(sqlite3_prepare_v2(handle_, sql.c_str(), -1, &statement, nullptr), sql.c_str());
    return statement;
  }

 private:
  sqlite3* handle_ = nullptr;
};

struct Table {
  std::string name;
  std::size_t columns = 0;
  std::vector<sqlite3_value*> values;  // row after row
  std::size_t rows() const { return columns == 0 ? 0 : values.size() / columns; }
};

Table read_table(const Connection& source, const std::string& name, const std::string& order,
                 std::size_t rows_max) {
  Table table;
  table.name = name;
  sqlite3_stmt* select = source.prepare(fmt::format("SELECT * FROM {} ORDER BY {}", name, order));
  table.columns = static_cast<std::size_t>(sqlite3_column_count(select));
  while (table.rows() < rows_max && sqlite3_step(select) == SQLITE_ROW) {
    for (std::size_t i = 0; i < table.columns; ++i) {
      table.values.push_back(sqlite3_value_dup(sqlite3_column_value(select, static_cast<int>(i))));
    }
  }
  sqlite3_finalize(select);
  return table;
}

void copy_schema(const Connection& source, const Connection& target) {
  sqlite3_stmt* select = source.prepare(
      "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type IN ('table', 'index') AND "
      "tbl_name IN ('epro_reports', 'epro_report_identities') ORDER BY type DESC");
  while (sqlite3_step(select) == SQLITE_ROW) {
    target.execute(reinterpret_cast<const char*>(sqlite3_column_text(select, 0)));
  }
  sqlite3_finalize(select);
}

/// One prepared INSERT of so many rows at once.
class Inserter {
 public:
  Inserter(const Connection& target, const Table& table, std::size_t rows)
      : target_(target), table_(table), rows_(rows) {
    std::string row = "(?";
    for (std::size_t i = 1; i < table.columns; ++i) row += ",?";
    row += ")";
    std::string sql = fmt::format("INSERT INTO {} VALUES {}", table.name, row);
    for (std::size_t i = 1; i < rows; ++i) sql += "," + row;
    statement_ = target.prepare(sql);
  }
  ~Inserter() { sqlite3_finalize(statement_); }
  Inserter(const Inserter&) = delete;
  Inserter& operator=(const Inserter&) = delete;

  std::size_t rows() const { return rows_; }
  void insert(std::size_t first) const {
    const std::size_t base = first * table_.columns;
    for (std::size_t i = 0; i < rows_ * table_.columns; ++i) {
      sqlite3_bind_value(statement_, static_cast<int>(i + 1), table_.values[base + i]);
    }
    target_.check(sqlite3_step(statement_), "insert");
    sqlite3_reset(statement_);
  }

 private:
  const Connection& target_;
  const Table& table_;
  std::size_t rows_;
  sqlite3_stmt* statement_ = nullptr;
};

void insert_range(const Inserter& many, const Inserter& one, std::size_t first, std::size_t end) {
  for (; end - first >= many.rows(); first += many.rows()) many.insert(first);
  for (; first < end; ++first) one.insert(first);
}

}  // namespace

Result sqlite_floor(const std::string& source_path, const std::string& target_path,
                    const Shape& shape) {
  const Connection source(source_path);
  const Connection target(target_path);
  const Table reports = read_table(source, "epro_reports", "id", shape.rows_max);
  const Table identities = read_table(source, "epro_report_identities", "id", shape.rows_max);
  // As src/storage/sql/sqlite/database.cpp sets its writer up.
  target.execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8192; "
      "PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=16384");
  copy_schema(source, target);
  // 32,766 parameters are SQLite's limit.
  const std::size_t at_once = std::min(shape.statement_rows, 32'766 / reports.columns);
  const Inserter report(target, reports, 1);
  const Inserter report_rows(target, reports, at_once);
  const Inserter identity(target, identities, 1);
  const Inserter identity_rows(target, identities, at_once);

  const auto start = std::chrono::steady_clock::now();
  for (std::size_t first = 0; first < reports.rows(); first += shape.transaction_rows) {
    target.execute("BEGIN IMMEDIATE");
    const std::size_t end = std::min(first + shape.transaction_rows, reports.rows());
    insert_range(report_rows, report, first, end);
    if (first < identities.rows()) {
      insert_range(identity_rows, identity, first, std::min(end, identities.rows()));
    }
    target.execute("COMMIT");
  }
  return {.rows = reports.rows(), .seconds = since(start)};
}

}  // namespace trialwire::floor
