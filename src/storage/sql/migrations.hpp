// SPDX-License-Identifier: Apache-2.0
// The schema as numbered steps, the same idea in every database. What is missing is applied under a
// lock that only one program can hold: SQLite and PostgreSQL all steps in one transaction, so that
// a crash leaves the old schema or the new one; MySQL and MariaDB, where each statement commits by
// itself, statement by statement, each of which can be repeated. A step that was released is never
// changed. The table schema_migrations has a row for each step that was applied.
#pragma once
#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "storage/sql/dialect.hpp"
#include "storage/sql/session.hpp"

namespace trialwire::storage {

/// A statement of a step may take so long: it may go over all rows of a large table.
constexpr std::chrono::hours migration_patience{1};

struct MigrationStep {
  std::string_view name;
  std::vector<std::string> statements;
};

/// Step i has version i + 1.
std::span<const MigrationStep> migrations(Dialect dialect);

inline std::int64_t newest_migration(Dialect dialect) {
  return static_cast<std::int64_t>(migrations(dialect).size());
}

/// The table that lists them, made before the first step.
std::string_view migrations_table(Dialect dialect) noexcept;

/// The newest version that was applied; 0: none. Errors: the session's.
Result<std::int64_t> applied_migration(Session& session);

/// Brings the schema to the last of these steps, from wherever it is among them. One that is there
/// costs two short queries and no lock. Returns the version found. Errors: the session's; internal,
/// when the schema is newer than the steps, with both versions named.
Result<std::int64_t> migrate(Session& session, std::span<const MigrationStep> steps);

/// To the newest that this program knows.
inline Result<std::int64_t> migrate(Session& session) {
  return migrate(session, migrations(session.dialect()));
}

}  // namespace trialwire::storage
