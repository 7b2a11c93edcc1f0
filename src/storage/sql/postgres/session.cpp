// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/session.hpp"

namespace trialwire::storage::postgres {
Patience PostgresSession::patience() const {
  return {.interrupt = limits_.interrupt,
          .deadline = std::chrono::steady_clock::now() + limits_.statement};
}

Result<void> PostgresSession::execute(const std::string& sql) {
  auto answer = connection_.run(sql, "execute", patience());
  if (!answer) return std::unexpected(answer.error());
  return {};
}

Result<std::vector<Session::Row>> PostgresSession::rows(const std::string& sql) {
  auto answer = connection_.run(sql, "query", patience());
  if (!answer) return std::unexpected(answer.error());
  std::vector<Row> rows;
  if (answer->get() == nullptr) return rows;
  for (int row = 0; row < answer->rows(); ++row) {
    Row& values = rows.emplace_back();
    for (int column = 0; column < answer->columns(); ++column) {
      values.emplace_back();
      if (!answer->is_null(row, column)) values.back() = std::string(answer->text(row, column));
    }
  }
  return rows;
}

}  // namespace trialwire::storage::postgres
