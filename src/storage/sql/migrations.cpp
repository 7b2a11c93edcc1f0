// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/migrations.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "storage/sql/record_table.hpp"

namespace trialwire::storage {
namespace {

// SQLite, steps 1 to 3: released as they stand here.
//
// Measured, 1,000,000 rows: a WITHOUT ROWID table keyed by record_id carries 36 bytes into every
// index and is slower by a quarter than a row id and a unique record_id, which arrives in order.
// Identities are random by nature. In an index of the table they would be inserted in the order of
// the rows; in a table of their own the sink inserts each delivery's sorted: each page of it is
// touched once a delivery.
constexpr const char* sqlite_reports = R"sql(
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

constexpr const char* sqlite_cursors = R"sql(
CREATE TABLE sink_cursors (
  sink          TEXT NOT NULL,
  lane          INTEGER NOT NULL,
  journal_id    TEXT NOT NULL,
  next_sequence INTEGER NOT NULL CHECK (next_sequence >= 1),
  PRIMARY KEY (sink, lane, journal_id)
) STRICT, WITHOUT ROWID;
)sql";

constexpr const char* sqlite_page_cursor_key = R"sql(
CREATE TABLE secrets (
  name  TEXT PRIMARY KEY NOT NULL,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO secrets (name, value) VALUES ('page_cursor', randomblob(16));
)sql";

/// An identity may outlive its row, which an operator deleted; so that it never names another
/// record's row the highest id of deleted rows is kept. A trigger: inserting costs nothing more.
std::vector<std::string> keep_deleted_ids(const RecordTable& table) {
  const std::string identities = identities_table(table);
  return {fmt::format("INSERT INTO deleted_rows (table_name, id_max)\n"
                      "SELECT '{}', coalesce(max(id), 0) FROM {}",
                      table.name, identities),
          fmt::format("CREATE TRIGGER {0}_deleted AFTER DELETE ON {0} BEGIN\n"
                      "  UPDATE deleted_rows SET id_max = OLD.id\n"
                      "  WHERE table_name = '{0}' AND id_max < OLD.id;\nEND",
                      table.name)};
}

constexpr const char* sqlite_deleted_rows = R"sql(
CREATE TABLE deleted_rows (
  table_name TEXT PRIMARY KEY NOT NULL,
  id_max     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

constexpr std::array<const char*, 3> postgres_own{
    R"sql(CREATE TABLE sink_cursors (
  sink          text NOT NULL,
  lane          integer NOT NULL,
  journal_id    uuid NOT NULL,
  next_sequence bigint NOT NULL CHECK (next_sequence >= 1),
  PRIMARY KEY (sink, lane, journal_id)
))sql",
    R"sql(CREATE TABLE secrets (
  name  text PRIMARY KEY,
  value bytea NOT NULL
))sql",
    "INSERT INTO secrets (name, value)\n"
    "VALUES ('page_cursor', decode(replace(gen_random_uuid()::text, '-', ''), 'hex'))"};

constexpr std::array<const char*, 3> mysql_own{
    R"sql(CREATE TABLE IF NOT EXISTS sink_cursors (
  sink          varchar(64) NOT NULL,
  lane          int NOT NULL,
  journal_id    char(36) NOT NULL,
  next_sequence bigint NOT NULL CHECK (next_sequence >= 1),
  PRIMARY KEY (sink, lane, journal_id)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin)sql",
    R"sql(CREATE TABLE IF NOT EXISTS secrets (
  name  varchar(64) NOT NULL PRIMARY KEY,
  value varbinary(255) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin)sql",
    "INSERT IGNORE INTO secrets (name, value) VALUES ('page_cursor', RANDOM_BYTES(16))"};

void append(std::vector<std::string>& to, std::vector<std::string> statements) {
  for (std::string& statement : statements) to.push_back(std::move(statement));
}

/// Of the first release: reports, answers, vital signs, metrics.
std::span<const RecordTable> first_tables() {
  return record_tables().first(4);
}

const RecordTable& audit_table() {
  return record_tables()[4];
}

std::vector<MigrationStep> sqlite_steps() {
  std::vector<MigrationStep> steps{{"reports", {sqlite_reports}},
                                   {"sink cursors", {sqlite_cursors}},
                                   {"page cursor key", {sqlite_page_cursor_key}}};
  MigrationStep others{"answers, vital signs, metrics", {}};
  for (const RecordTable& table : first_tables().subspan(1)) {
    append(others.statements, create_table(Dialect::sqlite, table));
  }
  steps.push_back(std::move(others));
  MigrationStep deleted{"ids of deleted rows", {sqlite_deleted_rows}};
  for (const RecordTable& table : first_tables()) {
    append(deleted.statements, keep_deleted_ids(table));
  }
  steps.push_back(std::move(deleted));
  MigrationStep audit{"audit trail", create_table(Dialect::sqlite, audit_table())};
  append(audit.statements, keep_deleted_ids(audit_table()));
  steps.push_back(std::move(audit));
  return steps;
}

std::vector<MigrationStep> server_steps(Dialect dialect) {
  MigrationStep all{"records, cursors, page cursor key", {}};
  for (const RecordTable& table : first_tables()) {
    append(all.statements, create_table(dialect, table));
  }
  for (const char* sql : is_mysql(dialect) ? mysql_own : postgres_own) {
    all.statements.emplace_back(sql);
  }
  return {std::move(all), {"audit trail", create_table(dialect, audit_table())}};
}

/// Statements around a migration; empty: none.
struct Frame {
  const char* exists;  // a row with the number of tables named schema_migrations
  const char* begin;
  const char* lock;  // MySQL's has a row: 1 when it was given
  const char* commit;
  const char* give_up;
};

constexpr Frame sqlite_frame{
    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'",
    "BEGIN IMMEDIATE", "", "COMMIT", "ROLLBACK"};

// The number is arbitrary and ours; the lock goes when the transaction ends, however it does.
constexpr Frame postgres_frame{
    "SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass('schema_migrations')",
    "BEGIN", "SELECT pg_advisory_xact_lock(7453010385829748066)", "COMMIT", "ROLLBACK"};

// Of the server, not of a database: hence the name of the latter, which may be long. MySQL has no
// SHA1 any more from 9.6 on, unless a component is installed.
constexpr Frame mysql_frame{
    "SELECT count(*) FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = 'schema_migrations'",
    "", "SELECT GET_LOCK(CONCAT('trialwire.', LEFT(SHA2(DATABASE(), 256), 40)), 30)",
    "DO RELEASE_LOCK(CONCAT('trialwire.', LEFT(SHA2(DATABASE(), 256), 40)))",
    "DO RELEASE_LOCK(CONCAT('trialwire.', LEFT(SHA2(DATABASE(), 256), 40)))"};

const Frame& frame_of(Dialect dialect) noexcept {
  if (dialect == Dialect::sqlite) return sqlite_frame;
  return dialect == Dialect::postgres ? postgres_frame : mysql_frame;
}

Result<void> run(Session& session, std::string_view sql) {
  return sql.empty() ? Result<void>{} : session.execute(std::string(sql));
}

Result<std::int64_t> one_integer(Session& session, const std::string& sql) {
  auto rows = session.rows(sql);
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty() || rows->front().empty() || !rows->front().front()) return 0;
  const std::string& text = *rows->front().front();
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Result<void> begin(Session& session) {
  const Frame& frame = frame_of(session.dialect());
  if (auto begun = run(session, frame.begin); !begun) return begun;
  if (!is_mysql(session.dialect())) return run(session, frame.lock);
  auto locked = one_integer(session, frame.lock);
  if (!locked) return std::unexpected(locked.error());
  if (*locked == 1) return {};
  return fail(ErrorCode::unavailable, "another program has been migrating the database for long");
}

Error newer_schema(std::int64_t applied, std::int64_t known) {
  return {ErrorCode::internal,
          fmt::format("the database has schema {}, this program knows up to {}", applied, known)};
}

Result<std::int64_t> apply(Session& session, std::span<const MigrationStep> steps) {
  const Dialect dialect = session.dialect();
  if (auto made = run(session, migrations_table(dialect)); !made) {
    return std::unexpected(made.error());
  }
  auto version = applied_migration(session);  // again: another program may have been faster
  if (!version) return version;
  const auto newest = static_cast<std::int64_t>(steps.size());
  if (*version > newest) return std::unexpected(newer_schema(*version, newest));
  for (std::size_t i = static_cast<std::size_t>(*version); i < steps.size(); ++i) {
    for (const std::string& statement : steps[i].statements) {
      if (auto done = session.execute(statement); !done) return std::unexpected(done.error());
    }
    auto listed =
        session.execute(fmt::format("INSERT INTO schema_migrations (version, name) VALUES ({}, "
                                    "'{}')",
                                    i + 1, steps[i].name));
    if (!listed) return std::unexpected(listed.error());
  }
  return version;
}

}  // namespace

std::span<const MigrationStep> migrations(Dialect dialect) {
  static const std::vector<MigrationStep> sqlite = sqlite_steps();
  static const std::vector<MigrationStep> postgres = server_steps(Dialect::postgres);
  static const std::vector<MigrationStep> mysql = server_steps(Dialect::mysql);
  static const std::vector<MigrationStep> mariadb = server_steps(Dialect::mariadb);
  switch (dialect) {
    case Dialect::sqlite:
      return sqlite;
    case Dialect::postgres:
      return postgres;
    case Dialect::mysql:
      return mysql;
    case Dialect::mariadb:
      break;
  }
  return mariadb;
}

std::string_view migrations_table(Dialect dialect) noexcept {
  if (dialect == Dialect::sqlite) {
    return R"sql(CREATE TABLE IF NOT EXISTS schema_migrations (
  version    INTEGER PRIMARY KEY,
  name       TEXT NOT NULL,
  applied_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) STRICT)sql";
  }
  if (dialect == Dialect::postgres) {
    return R"sql(CREATE TABLE IF NOT EXISTS schema_migrations (
  version    bigint PRIMARY KEY,
  name       text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
))sql";
  }
  return R"sql(CREATE TABLE IF NOT EXISTS schema_migrations (
  version    bigint NOT NULL PRIMARY KEY,
  name       varchar(255) NOT NULL,
  applied_at timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE=InnoDB DEFAULT CHARSET=ascii COLLATE=ascii_bin)sql";
}

Result<std::int64_t> applied_migration(Session& session) {
  auto exists = one_integer(session, frame_of(session.dialect()).exists);
  if (!exists || *exists == 0) return exists;
  return one_integer(session, "SELECT coalesce(max(version), 0) FROM schema_migrations");
}

Result<std::int64_t> migrate(Session& session, std::span<const MigrationStep> steps) {
  const auto newest = static_cast<std::int64_t>(steps.size());
  auto version = applied_migration(session);
  if (!version || *version == newest) return version;
  if (*version > newest) return std::unexpected(newer_schema(*version, newest));
  auto found = version;
  if (auto begun = begin(session); !begun) {
    found = std::unexpected(begun.error());
  } else {
    found = apply(session, steps);
  }
  if (found) {
    auto committed = run(session, frame_of(session.dialect()).commit);
    if (committed) return found;
    found = std::unexpected(committed.error());
  }
  // The error that counts is the first one.
  static_cast<void>(run(session, frame_of(session.dialect()).give_up));
  return found;
}

}  // namespace trialwire::storage
