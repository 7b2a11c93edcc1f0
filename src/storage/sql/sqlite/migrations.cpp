// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/migrations.hpp"

#include <sqlite3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <fmt/format.h>

namespace trialwire::storage::sqlite {
namespace {

// Measured, 1,000,000 rows: a WITHOUT ROWID table keyed by record_id carries 36 bytes into every
// index and is slower by a quarter than a row id and a unique record_id, which arrives in order.
// Identities are random by nature. In an index of the table they would be inserted in the order of
// the rows; in a table of their own the sink inserts each delivery's sorted: each page of it is
// touched once a delivery.
//
//   identity     16 bytes: low and high word of RecordAttributes::identity, little-endian
//   received_at  RFC 3339, UTC, milliseconds
//   flags        bits 0 to 7: as decided at intake; 256: undecodable, `original` has the bytes
//   timestamp    as sent; timestamp_ns: the same instant since the Unix epoch
constexpr const char* reports = R"sql(
CREATE TABLE epro_reports (
  id                 INTEGER PRIMARY KEY,
  record_id          TEXT NOT NULL UNIQUE,
  journal_id         TEXT NOT NULL,
  sequence           INTEGER NOT NULL,
  received_at        TEXT NOT NULL,
  flags              INTEGER NOT NULL,
  principal          TEXT,
  origin             TEXT,
  submission_id      TEXT,
  submission_index   INTEGER,
  submission_count   INTEGER,
  original           BLOB,
  patient_id         TEXT,
  trial_id           TEXT,
  site_id            TEXT,
  report_id          TEXT,
  timestamp          TEXT,
  timestamp_ns       INTEGER NOT NULL,
  qol_score          INTEGER,
  comments           TEXT,
  instrument         TEXT,
  instrument_version TEXT,
  visit_id           TEXT,
  answers            TEXT
) STRICT;
CREATE INDEX epro_reports_by_patient ON epro_reports (patient_id, timestamp_ns);
CREATE INDEX epro_reports_by_trial ON epro_reports (trial_id, timestamp_ns);
CREATE INDEX epro_reports_by_timestamp ON epro_reports (timestamp_ns);
CREATE TABLE epro_report_identities (
  identity BLOB PRIMARY KEY NOT NULL,
  id       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* cursors = R"sql(
CREATE TABLE sink_cursors (
  sink          TEXT NOT NULL,
  lane          INTEGER NOT NULL,
  journal_id    TEXT NOT NULL,
  next_sequence INTEGER NOT NULL CHECK (next_sequence >= 1),
  PRIMARY KEY (sink, lane, journal_id)
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* page_cursor_key = R"sql(
CREATE TABLE secrets (
  name  TEXT PRIMARY KEY NOT NULL,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO secrets (name, value) VALUES ('page_cursor', randomblob(16));
)sql";

struct Migration {
  const char* name;
  const char* sql;
};

/// Version 1 is the first.
constexpr std::array<Migration, 3> migrations{{
    {"reports", reports},
    {"sink cursors", cursors},
    {"page cursor key", page_cursor_key},
}};

constexpr const char* own_table = R"sql(
CREATE TABLE IF NOT EXISTS schema_migrations (
  version    INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT;
)sql";

Result<std::int64_t> one_integer(Database& database, std::string_view sql) {
  auto statement = database.prepare(sql);
  if (!statement) return std::unexpected(statement.error());
  if (statement->step() != SQLITE_ROW) return std::unexpected(database.error("read its schema"));
  return statement->integer(0);
}

Result<std::int64_t> version_of(Database& database) {
  auto exists =
      one_integer(database, "SELECT count(*) FROM sqlite_schema WHERE name = 'schema_migrations'");
  if (!exists || *exists == 0) return exists;
  auto version = one_integer(database, "SELECT coalesce(max(version), 0) FROM schema_migrations");
  if (version && *version > newest_migration()) {
    return fail(ErrorCode::internal,
                fmt::format("the database has schema {}, this program knows up to {}", *version,
                            newest_migration()));
  }
  return version;
}

Result<void> apply(Database& database) {
  if (auto done = database.execute(own_table); !done) return done;
  auto version = version_of(database);  // again: another process may have been faster
  if (!version) return std::unexpected(version.error());
  auto record = database.prepare("INSERT INTO schema_migrations (version, name) VALUES (?, ?)");
  if (!record) return std::unexpected(record.error());
  for (std::int64_t next = *version + 1; next <= newest_migration(); ++next) {
    const Migration& migration = migrations[static_cast<std::size_t>(next - 1)];
    if (auto done = database.execute(migration.sql); !done) return done;
    record->bind(1, next);
    record->bind(2, std::string_view(migration.name));
    if (record->run() != SQLITE_DONE) return std::unexpected(database.error("migrate"));
  }
  return database.execute("COMMIT");
}

}  // namespace

std::int64_t newest_migration() noexcept {
  return migrations.size();
}

Result<void> migrate(Database& database) {
  auto version = version_of(database);
  if (!version) return std::unexpected(version.error());
  if (*version == newest_migration()) return {};
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return begun;
  auto done = apply(database);
  if (!done && sqlite3_get_autocommit(database.handle()) == 0) {
    // The error that counts is the first one.
    sqlite3_exec(database.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  return done;
}

}  // namespace trialwire::storage::sqlite
