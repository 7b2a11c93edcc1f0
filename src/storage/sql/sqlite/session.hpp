// SPDX-License-Identifier: Apache-2.0
// Session on a connection to an SQLite file.
#pragma once
#include "storage/sql/session.hpp"
#include "storage/sql/sqlite/database.hpp"

namespace trialwire::storage::sqlite {

/// Borrows the connection.
class DatabaseSession final : public Session {
 public:
  explicit DatabaseSession(Database& database) noexcept : database_(database) {}
  Dialect dialect() const noexcept override { return Dialect::sqlite; }
  Result<void> execute(const std::string& sql) override;
  Result<std::vector<Row>> rows(const std::string& sql) override;

 private:
  Database& database_;
};

}  // namespace trialwire::storage::sqlite
