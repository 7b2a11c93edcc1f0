// SPDX-License-Identifier: Apache-2.0
// Cursors, in any database.
#include <algorithm>
#include <charconv>
#include <cstddef>
#include <vector>

#include "storage/sql/migrations.hpp"
#include "storage/sql/store.hpp"

namespace trialwire::storage {
namespace {

constexpr std::int64_t cursors_since_sqlite = 2;  // the step that made their table

template <typename T>
T number(const std::optional<std::string>& text) {
  T value{};
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return value;
}

}  // namespace

Result<std::vector<StoredCursor>> stored_cursors(Session& session) {
  auto applied = applied_migration(session);
  if (!applied) return std::unexpected(applied.error());
  std::vector<StoredCursor> cursors;
  if (*applied < (session.dialect() == Dialect::sqlite ? cursors_since_sqlite : 1)) return cursors;
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

Result<std::uint64_t> durable_below(Session& session, std::string_view sink, const Uuid& journal,
                                    const pipeline::LaneSchedule& schedule) {
  auto cursors = stored_cursors(session);
  if (!cursors) return std::unexpected(cursors.error());
  const std::string journal_text = journal.text();
  std::vector<std::uint64_t> reached(schedule.lanes_max());
  for (unsigned lane = 0; lane < reached.size(); ++lane) reached[lane] = schedule.first_of(lane);
  bool known = false;
  for (const StoredCursor& cursor : *cursors) {
    if (cursor.sink != sink || cursor.journal != journal_text) continue;
    if (cursor.lane >= reached.size()) continue;
    reached[cursor.lane] = std::max(reached[cursor.lane], cursor.next_sequence);
    known = true;
  }
  if (!known) return 1;
  std::uint64_t below = UINT64_MAX;
  for (unsigned lane = 0; lane < reached.size(); ++lane) {
    if (schedule.has_from(lane, reached[lane])) below = std::min(below, reached[lane]);
  }
  return below;
}

}  // namespace trialwire::storage
