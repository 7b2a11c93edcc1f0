// SPDX-License-Identifier: Apache-2.0
#include <charconv>

#include <fmt/format.h>

#include "storage/sql/migrations.hpp"
#include "storage/sql/store.hpp"

namespace trialwire::storage {
namespace {

/// One row with the estimate, NULL or none where there is no such table.
std::string rows_estimate(Dialect dialect, std::string_view table) {
  switch (dialect) {
    case Dialect::sqlite:
      // The last page of the table: ids grow by one a record.
      return fmt::format("SELECT coalesce(max(id), 0) FROM {}", table);
    case Dialect::postgres:
      return fmt::format(
          "SELECT greatest(reltuples, 0)::bigint FROM pg_catalog.pg_class "
          "WHERE oid = to_regclass('{}')",
          table);
    case Dialect::mysql:
    case Dialect::mariadb:
      break;
  }
  return fmt::format(
      "SELECT table_rows FROM information_schema.tables "
      "WHERE table_schema = DATABASE() AND table_name = '{}'",
      table);
}

std::string table_exists(std::string_view table) {
  return fmt::format("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '{}'", table);
}

Result<std::optional<std::int64_t>> estimate(Session& session, std::string_view table) {
  if (session.dialect() == Dialect::sqlite) {
    auto exists = session.rows(table_exists(table));
    if (!exists) return std::unexpected(exists.error());
    if (exists->empty()) return std::nullopt;
  }
  auto rows = session.rows(rows_estimate(session.dialect(), table));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty() || !rows->front()[0]) return std::nullopt;
  const std::string& text = *rows->front()[0];
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

Result<StoreStatus> store_status(Session& session) {
  StoreStatus status;
  status.version_known = newest_migration(session.dialect());
  auto applied = applied_migration(session);
  if (!applied) return std::unexpected(applied.error());
  status.version_applied = *applied;
  for (const RecordTable& table : record_tables()) {
    auto rows = estimate(session, table.name);
    if (!rows) return std::unexpected(rows.error());
    status.tables.push_back({std::string(table.name), *rows});
  }
  auto cursors = stored_cursors(session);
  if (!cursors) return std::unexpected(cursors.error());
  status.cursors = std::move(*cursors);
  return status;
}

}  // namespace trialwire::storage
