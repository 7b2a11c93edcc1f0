// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/session.hpp"

#include <sqlite3.h>

#include <utility>

namespace trialwire::storage::sqlite {

Result<void> DatabaseSession::execute(const std::string& sql) {
  return database_.execute(sql.c_str());
}

Result<std::vector<Session::Row>> DatabaseSession::rows(const std::string& sql) {
  auto statement = database_.prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  std::vector<Row> rows;
  int code = statement->step();
  for (; code == SQLITE_ROW; code = statement->step()) {
    Row row(static_cast<std::size_t>(statement->columns()));
    for (int column = 0; column < statement->columns(); ++column) {
      if (statement->is_null(column)) continue;
      row[static_cast<std::size_t>(column)] = std::string(statement->text(column));
    }
    rows.push_back(std::move(row));
  }
  if (code != SQLITE_DONE) return std::unexpected(database_.error("read"));
  return rows;
}

}  // namespace trialwire::storage::sqlite
