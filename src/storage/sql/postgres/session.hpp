// SPDX-License-Identifier: Apache-2.0
// A connection as the Session that migrations, status and cursors are written on.
#pragma once
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "storage/sql/postgres/connection.hpp"
#include "storage/sql/session.hpp"

namespace trialwire::storage::postgres {

struct SessionLimits {
  const Interrupt* interrupt = nullptr;
  std::chrono::milliseconds statement{30'000};  // then the server is taken for gone
};

class PostgresSession final : public Session {
 public:
  /// Borrows the connection and the interrupt; both must outlive it.
  PostgresSession(Connection& connection, SessionLimits limits) noexcept
      : connection_(connection), limits_(limits) {}

  Dialect dialect() const noexcept override { return Dialect::postgres; }
  Result<void> execute(const std::string& sql) override;
  Result<std::vector<Row>> rows(const std::string& sql) override;

 private:
  Patience patience() const;

  Connection& connection_;
  SessionLimits limits_;
};

/// One that has a connection of its own.
class OwnSession final : public Session {
 public:
  OwnSession(Connection connection, SessionLimits limits)
      : connection_(std::move(connection)), session_(connection_, limits) {}
  OwnSession(const OwnSession&) = delete;
  OwnSession& operator=(const OwnSession&) = delete;

  Dialect dialect() const noexcept override { return Dialect::postgres; }
  Result<void> execute(const std::string& sql) override { return session_.execute(sql); }
  Result<std::vector<Row>> rows(const std::string& sql) override { return session_.rows(sql); }

 private:
  Connection connection_;
  PostgresSession session_;
};

}  // namespace trialwire::storage::postgres
