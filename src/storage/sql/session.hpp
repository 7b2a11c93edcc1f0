// SPDX-License-Identifier: Apache-2.0
// A connection for what is done seldom: migrations, status, cursors. Deliveries and lists have
// their own statements; this is the little that a database must offer so that the rest of
// storage/sql is written once.
//
// Owned by one thread at a time. Autocommit outside of an explicit BEGIN. Errors: as each database
// classifies its own; their text names the database, never a password or a value.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "storage/sql/dialect.hpp"

namespace trialwire::storage {

class Session {
 public:
  /// A value as the database writes it as text; nothing for NULL.
  using Row = std::vector<std::optional<std::string>>;

  virtual ~Session() = default;
  virtual Dialect dialect() const noexcept = 0;

  /// A statement whose rows, if it has any, do not matter. SQLite takes several, with semicolons.
  virtual Result<void> execute(const std::string& sql) = 0;
  /// All rows of a small result.
  virtual Result<std::vector<Row>> rows(const std::string& sql) = 0;
};

}  // namespace trialwire::storage
