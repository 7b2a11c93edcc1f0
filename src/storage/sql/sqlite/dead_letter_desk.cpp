// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/dead_letter_desk.hpp"

#include <sqlite3.h>

#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace trialwire::storage::sqlite {
namespace {

constexpr std::string_view columns =
    "SELECT id, sink, lane, record_id, journal_id, epoch, sequence, kind, content_type, flags, "
    "received_ns, principal, origin, traceparent, submission_id, submission_index, "
    "submission_count, original, reason_code, reason, attempts, first_refused_ns, "
    "last_refused_ns, state, decided_by, decided_why, decided_ns FROM dead_letters WHERE ";

// ?1 id, ?2 by, ?3 why, ?4 when; with it go the records of its submission in the same sink.
constexpr std::string_view ask_sql =
    "UPDATE dead_letters SET state = 'retry_requested', decided_by = ?2, decided_why = ?3, "
    "decided_ns = ?4 WHERE state IN ('waiting', 'discarded') AND (id = ?1 OR (submission_id, sink) "
    "= (SELECT submission_id, sink FROM dead_letters WHERE id = ?1))";
constexpr std::string_view discard_sql =
    "UPDATE dead_letters SET state = 'discarded', decided_by = ?2, decided_why = ?3, "
    "decided_ns = ?4 WHERE state IN ('waiting', 'retry_requested') AND (id = ?1 OR (submission_id, "
    "sink) = (SELECT submission_id, sink FROM dead_letters WHERE id = ?1))";

LetterState state_of(std::string_view name) {
  for (auto state :
       {LetterState::retry_requested, LetterState::delivered, LetterState::discarded}) {
    if (name == letter_state_name(state)) return state;
  }
  return LetterState::waiting;
}

DeadLetter letter_of(const Statement& row) {
  DeadLetter letter;
  auto& record = letter.record;
  auto& attributes = record.attributes;
  letter.id = row.integer(0);
  letter.sink = row.text(1);
  letter.lane = static_cast<unsigned>(row.integer(2));
  letter.record_id = row.text(3);
  record.journal = Uuid::parse(row.text(4)).value_or(Uuid{});
  record.epoch = static_cast<std::uint32_t>(row.integer(5));
  record.sequence = static_cast<std::uint64_t>(row.integer(6));
  attributes.kind = static_cast<journal::RecordKind>(row.integer(7));
  attributes.content_type = static_cast<journal::ContentType>(row.integer(8));
  attributes.flags = static_cast<std::uint8_t>(row.integer(9));
  attributes.received_ns = row.integer(10);
  attributes.principal = row.text(11);
  attributes.origin = row.text(12);
  attributes.traceparent = row.text(13);
  attributes.submission = Uuid::parse(row.text(14)).value_or(Uuid{});
  attributes.submission_index = static_cast<std::uint32_t>(row.integer(15));
  attributes.submission_count = static_cast<std::uint32_t>(row.integer(16));
  record.bytes = row.blob(17);
  letter.reason_code = row.text(18);
  letter.reason = row.text(19);
  letter.attempts = static_cast<std::uint64_t>(row.integer(20));
  letter.first_refused_ns = row.integer(21);
  letter.last_refused_ns = row.integer(22);
  letter.state = state_of(row.text(23));
  letter.decided_by = row.text(24);
  letter.decided_why = row.text(25);
  letter.decided_ns = row.integer(26);
  return letter;
}

std::string condition(const LetterFilter& filter) {
  if (filter.id) return "id = ?1";
  std::string text = filter.sink.empty() ? "?1 IS NOT NULL" : "sink = ?1";
  if (filter.state) return text + " AND state = ?2";
  return filter.every_state ? text : text + " AND state IN ('waiting', 'retry_requested')";
}

}  // namespace

Result<DeadLetterDesk> DeadLetterDesk::open(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    return fail(ErrorCode::not_found,
                fmt::format("there are no dead letters: no {}", path.string()));
  }
  auto database = open_dead_letters(path);
  if (!database) return std::unexpected(database.error());
  sqlite3_busy_timeout(database->handle(), 5'000);  // a server that runs writes to it, too
  return DeadLetterDesk(std::move(*database));
}

Result<std::uint64_t> DeadLetterDesk::each(const LetterFilter& filter, const See& see) {
  auto rows = database_.prepare(fmt::format("{}{} ORDER BY id", columns, condition(filter)));
  if (!rows) return std::unexpected(rows.error());
  if (filter.id) {
    rows->bind(1, *filter.id);
  } else {
    rows->bind(1, std::string_view(filter.sink));
    if (filter.state) rows->bind(2, letter_state_name(*filter.state));
  }
  std::uint64_t count = 0;
  int code = SQLITE_ROW;
  while ((code = rows->step()) == SQLITE_ROW) {
    see(letter_of(*rows));
    ++count;
  }
  if (code != SQLITE_DONE) return std::unexpected(database_.error("read dead letters"));
  return count;
}

Result<std::uint64_t> DeadLetterDesk::decide(std::span<const std::int64_t> ids,
                                             std::string_view sql, const LetterDecision& decision) {
  auto find = database_.prepare(
      "SELECT state, state IN ('waiting', iif(?2, 'discarded', 'retry_requested')) "
      "FROM dead_letters WHERE id = ?1");
  if (!find) return std::unexpected(find.error());
  for (std::int64_t id : ids) {
    find->bind(1, id);
    find->bind(2, std::int64_t{sql == ask_sql});
    bool known = find->step() == SQLITE_ROW;
    std::string state(known ? find->text(0) : "");
    bool may = known && find->integer(1) != 0;
    find->reset();
    if (!known) return fail(ErrorCode::not_found, fmt::format("there is no dead letter {}", id));
    if (!may) return fail(ErrorCode::conflict, fmt::format("dead letter {} is {}", id, state));
  }
  auto update = database_.prepare(sql);
  if (!update) return std::unexpected(update.error());
  std::uint64_t changed = 0;  // none for a record whose submission was decided on just now
  for (std::int64_t id : ids) {
    update->bind(1, id);
    update->bind(2, std::string_view(decision.by));
    decision.why.empty() ? update->bind_null(3) : update->bind(3, std::string_view(decision.why));
    update->bind(4, decision.at_ns);
    if (update->run() != SQLITE_DONE) return std::unexpected(database_.error("decide"));
    changed += static_cast<std::uint64_t>(database_.changes());
  }
  return changed;
}

namespace {

/// `work` in one transaction.
template <typename Work>
Result<std::uint64_t> in_transaction(Database& database, Work work) {
  if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) {
    return std::unexpected(begun.error());
  }
  Result<std::uint64_t> done = work();
  if (done) {
    if (auto committed = database.execute("COMMIT"); !committed) {
      done = std::unexpected(committed.error());
    }
  }
  if (!done) sqlite3_exec(database.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  return done;
}

}  // namespace

Result<pipeline::DeadLetters::BySink> DeadLetterDesk::asked() {
  auto rows = database_.prepare(
      "SELECT sink, count(*) FROM dead_letters WHERE state = 'retry_requested' GROUP BY sink");
  if (!rows) return std::unexpected(rows.error());
  pipeline::DeadLetters::BySink found;
  int code = SQLITE_ROW;
  while ((code = rows->step()) == SQLITE_ROW) {
    found.emplace(rows->text(0), static_cast<std::uint64_t>(rows->integer(1)));
  }
  if (code != SQLITE_DONE) return std::unexpected(database_.error("count dead letters"));
  return found;
}

Result<std::uint64_t> DeadLetterDesk::ask_for(std::span<const std::int64_t> ids,
                                              const LetterDecision& decision) {
  return in_transaction(database_, [&] { return decide(ids, ask_sql, decision); });
}

Result<std::uint64_t> DeadLetterDesk::discard(std::span<const std::int64_t> ids,
                                              const LetterDecision& decision) {
  return in_transaction(database_, [&] { return decide(ids, discard_sql, decision); });
}

Result<std::uint64_t> DeadLetterDesk::ask_for_all(std::string_view sink,
                                                  const LetterDecision& decision) {
  return in_transaction(database_, [&]() -> Result<std::uint64_t> {
    auto update = database_.prepare(
        "UPDATE dead_letters SET state = 'retry_requested', decided_by = ?2, decided_why = NULL, "
        "decided_ns = ?3 WHERE state = 'waiting' AND (?1 = '' OR sink = ?1)");
    if (!update) return std::unexpected(update.error());
    update->bind(1, sink);
    update->bind(2, std::string_view(decision.by));
    update->bind(3, decision.at_ns);
    if (update->run() != SQLITE_DONE) return std::unexpected(database_.error("decide"));
    return static_cast<std::uint64_t>(database_.changes());
  });
}

}  // namespace trialwire::storage::sqlite
