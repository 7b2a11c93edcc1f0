// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/dead_letter_file.hpp"

#include <sqlite3.h>

#include <array>

#include <fmt/format.h>

namespace trialwire::storage::sqlite {
namespace {

constexpr std::int64_t version = 2;

// A record of a sink. The attributes are those of the journal, so that it can be delivered again
// as it was; `original` are the sender's bytes. Times are nanoseconds since the Unix epoch.
constexpr const char* schema = R"sql(
CREATE TABLE dead_letters (
  id               INTEGER PRIMARY KEY AUTOINCREMENT,
  sink             TEXT NOT NULL,
  lane             INTEGER NOT NULL,
  record_id        TEXT NOT NULL,
  journal_id       TEXT NOT NULL,
  epoch            INTEGER NOT NULL,
  sequence         INTEGER NOT NULL,
  kind             INTEGER NOT NULL,
  content_type     INTEGER NOT NULL,
  flags            INTEGER NOT NULL,
  key_hash         INTEGER NOT NULL,
  received_ns      INTEGER NOT NULL,
  identity         BLOB NOT NULL,
  content_hash     INTEGER NOT NULL,
  principal        TEXT NOT NULL,
  origin           TEXT NOT NULL,
  traceparent      TEXT NOT NULL,
  submission_id    TEXT,
  submission_index INTEGER NOT NULL,
  submission_count INTEGER NOT NULL,
  original         BLOB NOT NULL,
  reason_code      TEXT NOT NULL,
  reason           TEXT NOT NULL,
  attempts         INTEGER NOT NULL,
  first_refused_ns INTEGER NOT NULL,
  last_refused_ns  INTEGER NOT NULL,
  state            TEXT NOT NULL
                   CHECK (state IN ('waiting', 'retry_requested', 'delivered', 'discarded')),
  decided_by       TEXT,
  decided_why      TEXT,
  decided_ns       INTEGER,
  delivered_ns     INTEGER,
  UNIQUE (sink, record_id)
) STRICT;
CREATE INDEX dead_letters_open ON dead_letters (sink, state, id)
  WHERE state IN ('waiting', 'retry_requested');
CREATE INDEX dead_letters_by_submission ON dead_letters (submission_id)
  WHERE submission_id IS NOT NULL;
CREATE INDEX dead_letters_delivered ON dead_letters (sink, delivered_ns)
  WHERE state = 'delivered';
PRAGMA user_version = 2;
)sql";

// When those of version 1 were delivered is not known: they count from now on.
constexpr const char* from_version_1 = R"sql(
ALTER TABLE dead_letters ADD COLUMN delivered_ns INTEGER;
UPDATE dead_letters SET delivered_ns = unixepoch('now') * 1000000000 WHERE state = 'delivered';
CREATE INDEX dead_letters_delivered ON dead_letters (sink, delivered_ns)
  WHERE state = 'delivered';
PRAGMA user_version = 2;
)sql";

Result<std::int64_t> version_of(Database& database) {
  auto statement = database.prepare("PRAGMA user_version");
  if (!statement) return std::unexpected(statement.error());
  if (statement->step() != SQLITE_ROW) return std::unexpected(database.error("read its version"));
  return statement->integer(0);
}

Result<void> bring_up_to_date(Database& database) {
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) return begun;
  Result<void> done;
  auto found = version_of(database);  // again: another process may have been faster
  if (!found) done = std::unexpected(found.error());
  if (done && *found == 0) done = database.execute(schema);
  if (done && *found == 1) done = database.execute(from_version_1);
  if (done) done = database.execute("COMMIT");
  if (!done) sqlite3_exec(database.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  return done;
}

}  // namespace

std::string_view letter_state_name(LetterState state) noexcept {
  static constexpr std::array<std::string_view, 4> names{"waiting", "retry_requested", "delivered",
                                                         "discarded"};
  return names[static_cast<std::size_t>(state)];
}

Result<Database> open_dead_letters(const std::filesystem::path& path) {
  DatabaseOptions options;
  options.path = path;
  options.cache_bytes = 1 << 20;
  options.wal_bytes = 4 << 20;
  auto database = Database::open_writer(options);
  if (!database) return database;
  auto found = version_of(*database);
  if (found && *found < version) {
    if (auto done = bring_up_to_date(*database); !done) return std::unexpected(done.error());
    found = version_of(*database);
  }
  if (!found) return std::unexpected(found.error());
  if (*found > version) {
    return fail(ErrorCode::internal,
                fmt::format("database {}: has schema {}, this program knows up to {}",
                            path.string(), *found, version));
  }
  return database;
}

}  // namespace trialwire::storage::sqlite
