// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/dead_letter_store.hpp"

#include <sqlite3.h>

#include <array>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/sql/sqlite/dead_letter_file.hpp"

namespace trialwire::storage::sqlite {
namespace {

using journal::Record;
using journal::RecordAttributes;

constexpr std::string_view put_sql =
    "INSERT INTO dead_letters (sink, lane, record_id, journal_id, epoch, sequence, kind, "
    "content_type, flags, key_hash, received_ns, identity, content_hash, principal, origin, "
    "traceparent, submission_id, submission_index, submission_count, original, reason_code, "
    "reason, attempts, first_refused_ns, last_refused_ns, state) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
    "?19, ?20, ?21, ?22, 1, ?23, ?23, 'waiting') "
    "ON CONFLICT (sink, record_id) DO UPDATE SET reason_code = excluded.reason_code, "
    "reason = excluded.reason, attempts = attempts + 1, "
    "last_refused_ns = excluded.last_refused_ns, "
    "state = iif(state = 'discarded', state, 'waiting')";

constexpr std::string_view asked_sql =
    "SELECT journal_id, epoch, sequence, kind, content_type, flags, key_hash, received_ns, "
    "identity, content_hash, principal, origin, traceparent, submission_id, submission_index, "
    "submission_count, original FROM dead_letters "
    "WHERE sink = ?1 AND state = 'retry_requested' AND (id = ?2 OR submission_id = ?3) "
    "ORDER BY sequence";

// Up to the time of the thousandth: a unit has one time, so that none is torn apart.
constexpr std::int64_t forgotten_at_once = 1'000;
constexpr std::string_view forget_sql =
    "DELETE FROM dead_letters WHERE sink = ?1 AND state = 'delivered' AND delivered_ns < ?2 AND "
    "delivered_ns <= ifnull((SELECT delivered_ns FROM dead_letters WHERE sink = ?1 AND state = "
    "'delivered' ORDER BY delivered_ns LIMIT 1 OFFSET ?3), ?2)";

Uuid id_of(const Record& record) {
  return record_id({record.journal, record.epoch, record.sequence, record.attributes.received_ns});
}

Uuid uuid_or_zero(std::string_view text) {
  return Uuid::parse(text).value_or(Uuid{});
}

class DeadLetterStore final : public pipeline::DeadLetters {
 public:
  explicit DeadLetterStore(std::filesystem::path path) : path_(std::move(path)) {}

  Result<void> store(std::span<const Record> unit, const pipeline::Refusal& refusal) override {
    return changes([&] { return put(unit, refusal); });
  }
  Result<void> next_asked(std::string_view sink, pipeline::RecordBatch& unit) override;
  Result<void> delivered(std::span<const Record> unit, std::string_view sink,
                         std::int64_t at_ns) override {
    return changes([&] { return mark(unit, sink, at_ns); });
  }
  Result<std::uint64_t> forget_delivered(std::string_view sink, std::int64_t before_ns) override;
  Result<std::uint64_t> ask_again(std::string_view sink) override;
  Result<BySink> waiting() override;

 private:
  Result<void> open();
  void close() noexcept;
  template <typename Change>
  Result<void> changes(Change change);
  Result<void> put(std::span<const Record> unit, const pipeline::Refusal& refusal);
  Result<void> mark(std::span<const Record> unit, std::string_view sink, std::int64_t at_ns);
  Result<void> read_asked(std::string_view sink, pipeline::RecordBatch& unit);
  bool changed_meanwhile();

  const std::filesystem::path path_;
  std::mutex mutex_;
  std::optional<Database> database_;  // before the statements: it must outlive them
  std::optional<Statement> put_, mark_, first_asked_, asked_, count_, version_;
  std::optional<BySink> waiting_;   // good as long as nothing changed the file
  std::int64_t data_version_ = -1;  // of the file, as other connections changed it
};

void DeadLetterStore::close() noexcept {
  for (auto* statement : {&put_, &mark_, &first_asked_, &asked_, &count_, &version_}) {
    statement->reset();
  }
  database_.reset();
  waiting_.reset();
  data_version_ = -1;
}

Result<void> DeadLetterStore::open() {
  if (database_ && database_->moved()) close();
  if (database_) return {};
  auto database = open_dead_letters(path_);
  if (!database) return std::unexpected(database.error());
  database_ = std::move(*database);
  const std::array<std::pair<std::optional<Statement>*, std::string_view>, 6> statements{{
      {&put_, put_sql},
      {&mark_,
       "UPDATE dead_letters SET state = 'delivered', delivered_ns = ?3 WHERE sink = ?1 AND "
       "record_id = ?2 AND state = 'retry_requested'"},
      {&first_asked_,
       "SELECT id, submission_id FROM dead_letters WHERE sink = ? AND state = 'retry_requested' "
       "ORDER BY id LIMIT 1"},
      {&asked_, asked_sql},
      {&count_,
       "SELECT sink, count(*) FROM dead_letters WHERE state IN ('waiting', 'retry_requested') "
       "GROUP BY sink"},
      {&version_, "PRAGMA data_version"},
  }};
  for (const auto& [statement, sql] : statements) {
    auto prepared = database_->prepare(sql);
    if (!prepared) {
      Error error = prepared.error();
      close();
      return std::unexpected(std::move(error));
    }
    *statement = std::move(*prepared);
  }
  return {};
}

/// One transaction; whatever fails, the connection is made anew for the next call.
template <typename Change>
Result<void> DeadLetterStore::changes(Change change) {
  std::lock_guard lock(mutex_);
  Result<void> done = open();
  if (done) done = database_->execute("BEGIN IMMEDIATE");
  if (done) done = change();
  if (done) done = database_->execute("COMMIT");
  waiting_.reset();
  if (!done) close();
  return done;
}

Result<void> DeadLetterStore::put(std::span<const Record> unit, const pipeline::Refusal& refusal) {
  for (const Record& record : unit) {
    const RecordAttributes& attributes = record.attributes;
    const std::string id = id_of(record).text();
    const std::string journal = record.journal.text();
    const std::string submission = attributes.submission.text();
    const std::array<std::uint64_t, 2> identity{attributes.identity.low, attributes.identity.high};
    put_->bind(1, refusal.sink);
    put_->bind(2, std::int64_t{refusal.lane});
    put_->bind(3, std::string_view(id));
    put_->bind(4, std::string_view(journal));
    put_->bind(5, std::int64_t{record.epoch});
    put_->bind(6, static_cast<std::int64_t>(record.sequence));
    put_->bind(7, static_cast<std::int64_t>(attributes.kind));
    put_->bind(8, static_cast<std::int64_t>(attributes.content_type));
    put_->bind(9, std::int64_t{attributes.flags});
    put_->bind(10, std::int64_t{attributes.key_hash});
    put_->bind(11, attributes.received_ns);
    put_->bind(12, std::as_bytes(std::span(identity)));
    put_->bind(13, static_cast<std::int64_t>(attributes.content_hash));
    put_->bind(14, attributes.principal);
    put_->bind(15, attributes.origin);
    put_->bind(16, attributes.traceparent);
    attributes.submission == Uuid{} ? put_->bind_null(17)
                                    : put_->bind(17, std::string_view(submission));
    put_->bind(18, std::int64_t{attributes.submission_index});
    put_->bind(19, std::int64_t{attributes.submission_count});
    put_->bind(20, record.bytes);
    put_->bind(21, traits(refusal.code).label);
    put_->bind(22, refusal.text);
    put_->bind(23, refusal.at_ns);
    if (put_->run() != SQLITE_DONE) return std::unexpected(database_->error("set a letter aside"));
  }
  return {};
}

Result<void> DeadLetterStore::mark(std::span<const Record> unit, std::string_view sink,
                                   std::int64_t at_ns) {
  for (const Record& record : unit) {
    const std::string id = id_of(record).text();
    mark_->bind(1, sink);
    mark_->bind(2, std::string_view(id));
    mark_->bind(3, at_ns);
    if (mark_->run() != SQLITE_DONE) return std::unexpected(database_->error("mark a letter"));
  }
  return {};
}

Result<std::uint64_t> DeadLetterStore::ask_again(std::string_view sink) {
  std::uint64_t asked = 0;
  auto done = changes([&]() -> Result<void> {
    auto update = database_->prepare(
        "UPDATE dead_letters SET state = 'retry_requested' WHERE sink = ? AND state = 'delivered'");
    if (!update) return std::unexpected(update.error());
    update->bind(1, sink);
    if (update->run() != SQLITE_DONE) return std::unexpected(database_->error("ask again"));
    asked = static_cast<std::uint64_t>(database_->changes());
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return asked;
}

Result<std::uint64_t> DeadLetterStore::forget_delivered(std::string_view sink,
                                                        std::int64_t before_ns) {
  std::uint64_t forgotten = 0;
  auto done = changes([&]() -> Result<void> {
    auto gone = database_->prepare(forget_sql);
    if (!gone) return std::unexpected(gone.error());
    gone->bind(1, sink);
    gone->bind(2, before_ns);
    gone->bind(3, forgotten_at_once - 1);
    if (gone->run() != SQLITE_DONE) return std::unexpected(database_->error("forget letters"));
    forgotten = static_cast<std::uint64_t>(database_->changes());
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return forgotten;
}

Result<void> DeadLetterStore::next_asked(std::string_view sink, pipeline::RecordBatch& unit) {
  std::lock_guard lock(mutex_);
  unit.clear();
  Result<void> done = open();
  if (done) done = read_asked(sink, unit);
  if (!done) close();
  return done;
}

Result<void> DeadLetterStore::read_asked(std::string_view sink, pipeline::RecordBatch& unit) {
  first_asked_->bind(1, sink);
  int code = first_asked_->step();
  std::int64_t id = code == SQLITE_ROW ? first_asked_->integer(0) : 0;
  std::string submission(code == SQLITE_ROW ? first_asked_->text(1) : "");
  first_asked_->reset();
  if (code == SQLITE_DONE) return {};
  if (code != SQLITE_ROW) return std::unexpected(database_->error("look for letters"));
  asked_->bind(1, sink);
  asked_->bind(2, id);
  asked_->bind(3, std::string_view(submission));
  while ((code = asked_->step()) == SQLITE_ROW) {
    Record record;
    RecordAttributes& attributes = record.attributes;
    record.journal = uuid_or_zero(asked_->text(0));
    record.epoch = static_cast<std::uint32_t>(asked_->integer(1));
    record.sequence = static_cast<std::uint64_t>(asked_->integer(2));
    attributes.kind = static_cast<journal::RecordKind>(asked_->integer(3));
    attributes.content_type = static_cast<journal::ContentType>(asked_->integer(4));
    attributes.flags = static_cast<std::uint8_t>(asked_->integer(5));
    attributes.key_hash = static_cast<std::uint32_t>(asked_->integer(6));
    attributes.received_ns = asked_->integer(7);
    ByteView identity = asked_->blob(8);
    if (identity.size() == 2 * sizeof(std::uint64_t)) {
      attributes.identity.low = load_le<std::uint64_t>(identity.data());
      attributes.identity.high = load_le<std::uint64_t>(identity.data() + sizeof(std::uint64_t));
    }
    attributes.content_hash = static_cast<std::uint64_t>(asked_->integer(9));
    attributes.principal = asked_->text(10);
    attributes.origin = asked_->text(11);
    attributes.traceparent = asked_->text(12);
    attributes.submission = uuid_or_zero(asked_->text(13));
    attributes.submission_index = static_cast<std::uint32_t>(asked_->integer(14));
    attributes.submission_count = static_cast<std::uint32_t>(asked_->integer(15));
    record.bytes = asked_->blob(16);
    unit.add(record);
  }
  asked_->reset();
  if (code != SQLITE_DONE) return std::unexpected(database_->error("read a letter"));
  return {};
}

/// By another connection: the desk's.
bool DeadLetterStore::changed_meanwhile() {
  std::int64_t found = version_->step() == SQLITE_ROW ? version_->integer(0) : -1;
  version_->reset();
  return found == -1 || found != std::exchange(data_version_, found);
}

Result<pipeline::DeadLetters::BySink> DeadLetterStore::waiting() {
  std::lock_guard lock(mutex_);
  if (auto opened = open(); !opened) return std::unexpected(opened.error());
  if (changed_meanwhile()) waiting_.reset();
  if (waiting_) return *waiting_;
  BySink found;
  int code = SQLITE_ROW;
  while ((code = count_->step()) == SQLITE_ROW) {
    found.emplace(count_->text(0), static_cast<std::uint64_t>(count_->integer(1)));
  }
  count_->reset();
  if (code != SQLITE_DONE) {
    Error error = database_->error("count letters");
    close();
    return std::unexpected(std::move(error));
  }
  waiting_ = found;
  return found;
}

}  // namespace

std::unique_ptr<pipeline::DeadLetters> make_dead_letters(std::filesystem::path path) {
  return std::make_unique<DeadLetterStore>(std::move(path));
}

}  // namespace trialwire::storage::sqlite
