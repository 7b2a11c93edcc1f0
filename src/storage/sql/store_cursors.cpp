// SPDX-License-Identifier: Apache-2.0
// Cursors and the number of lanes, in any database.
#include <algorithm>
#include <charconv>
#include <cstddef>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/sql/migrations.hpp"
#include "storage/sql/store.hpp"

namespace trialwire::storage {
namespace {

// The steps that made the tables.
constexpr std::int64_t cursors_since_sqlite = 2;
constexpr std::int64_t lane_counts_since_sqlite = 4;

bool has_since(Dialect dialect, std::int64_t applied, std::int64_t since_sqlite) {
  return applied >= (dialect == Dialect::sqlite ? since_sqlite : 1);
}

template <typename T>
T number(const std::optional<std::string>& text) {
  T value{};
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

/// "sink = 'postgres' AND journal_id = '…'". Neither can hold a quote.
std::string of_journal(std::string_view sink, const Uuid& journal) {
  TW_CHECK(std::ranges::all_of(sink, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; }));
  return fmt::format("sink = '{}' AND journal_id = '{}'", sink, journal.text());
}

Result<void> write_lane_count(Session& session, std::string_view sink, const Uuid& journal,
                              unsigned lanes) {
  auto cursors = session.rows(
      fmt::format("SELECT next_sequence FROM sink_cursors WHERE {}", of_journal(sink, journal)));
  if (!cursors) return std::unexpected(cursors.error());
  for (const Session::Row& row : *cursors) {
    if (row != cursors->front()) {
      return fail(ErrorCode::conflict,
                  fmt::format("the lanes of {} are not all at the same sequence: their number "
                              "cannot change before they are",
                              sink));
    }
  }
  std::vector<std::string> statements;
  for (const char* table : {"sink_cursors", "lane_counts"}) {
    statements.push_back(fmt::format("DELETE FROM {} WHERE {}", table, of_journal(sink, journal)));
  }
  statements.push_back(
      fmt::format("INSERT INTO lane_counts (sink, journal_id, lanes) VALUES ('{}', '{}', {})", sink,
                  journal.text(), lanes));
  for (unsigned lane = 0; lane < lanes && !cursors->empty(); ++lane) {
    statements.push_back(
        fmt::format("INSERT INTO sink_cursors (sink, lane, journal_id, next_sequence) "
                    "VALUES ('{}', {}, '{}', {})",
                    sink, lane, journal.text(), number<std::uint64_t>(cursors->front().front())));
  }
  for (const std::string& statement : statements) {
    if (auto done = session.execute(statement); !done) return done;
  }
  return {};
}

}  // namespace

Result<std::vector<StoredCursor>> stored_cursors(Session& session) {
  auto applied = applied_migration(session);
  if (!applied) return std::unexpected(applied.error());
  std::vector<StoredCursor> cursors;
  if (!has_since(session.dialect(), *applied, cursors_since_sqlite)) return cursors;
  auto rows = session.rows(
      "SELECT sink, lane, journal_id, next_sequence FROM sink_cursors "
      "ORDER BY sink, journal_id, lane");
  if (!rows) return std::unexpected(rows.error());
  for (const Session::Row& row : *rows) {
    cursors.push_back({row[0].value_or(""), number<unsigned>(row[1]), row[2].value_or(""),
                       number<std::uint64_t>(row[3])});
  }
  return cursors;
}

Result<std::optional<unsigned>> lane_count(Session& session, std::string_view sink,
                                           const Uuid& journal) {
  auto applied = applied_migration(session);
  if (!applied) return std::unexpected(applied.error());
  if (!has_since(session.dialect(), *applied, lane_counts_since_sqlite)) return std::nullopt;
  auto rows = session.rows(
      fmt::format("SELECT lanes FROM lane_counts WHERE {}", of_journal(sink, journal)));
  if (!rows) return std::unexpected(rows.error());
  if (rows->empty()) return std::nullopt;
  return number<unsigned>(rows->front()[0]);
}

Result<std::uint64_t> durable_below(Session& session, std::string_view sink, const Uuid& journal) {
  auto lanes = lane_count(session, sink, journal);
  if (!lanes) return std::unexpected(lanes.error());
  auto cursors = stored_cursors(session);
  if (!cursors) return std::unexpected(cursors.error());
  std::string journal_text = journal.text();
  std::uint64_t below = UINT64_MAX;
  unsigned found = 0;
  for (const StoredCursor& cursor : *cursors) {
    if (cursor.sink != sink || cursor.journal != journal_text) continue;
    below = std::min(below, cursor.next_sequence);
    ++found;
  }
  return found == 0 || found < lanes->value_or(1) ? 1 : below;
}

Result<void> set_lane_count(Session& session, std::string_view sink, const Uuid& journal,
                            unsigned lanes) {
  TW_CHECK(lanes >= 1);
  const char* begin = session.dialect() == Dialect::sqlite ? "BEGIN IMMEDIATE" : "BEGIN";
  if (auto begun = session.execute(begin); !begun) return begun;
  auto done = write_lane_count(session, sink, journal, lanes);
  if (done) done = session.execute("COMMIT");
  // The error that counts is the first one.
  if (!done) static_cast<void>(session.execute("ROLLBACK"));
  return done;
}

}  // namespace trialwire::storage
