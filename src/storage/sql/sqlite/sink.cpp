// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/sink.hpp"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/rfc3339.hpp"
#include "storage/sql/migrations.hpp"
#include "storage/sql/record_table.hpp"
#include "storage/sql/sqlite/session.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::storage::sqlite {
namespace {

using journal::Record;
using journal::RecordAttributes;

// Filled from the record's attributes; the mapper's columns follow.
enum CommonColumn : int {
  column_id = 1,
  column_record_id,
  column_journal_id,
  column_sequence,
  column_received_at,
  column_flags,
  column_principal,
  column_origin,
  column_submission_id,
  column_submission_index,
  column_submission_count,
  column_original,
  column_first_mapped,
};
constexpr std::string_view attribute_columns =
    "id, record_id, journal_id, sequence, received_at, flags, principal, origin, submission_id, "
    "submission_index, submission_count, original";

// Of a table of records, {rows}, and the identities beside it, {ids}.
constexpr std::string_view insert_identity_sql =
    "INSERT INTO {ids} (identity, id) VALUES (?1, ?2) ON CONFLICT (identity) DO NOTHING";
// Below ?3 are the rows of earlier deliveries; those of this one are not written yet.
constexpr std::string_view adopt_identity_sql =
    "UPDATE {ids} SET id = ?2 WHERE identity = ?1 AND id < ?3 "
    "AND NOT EXISTS (SELECT 1 FROM {rows} WHERE {rows}.id = {ids}.id)";
constexpr std::string_view mend_identity_sql =
    "UPDATE {ids} SET id = (SELECT id FROM {rows} WHERE record_id = ?2) WHERE identity = ?1";
// An id is never given again, though its row was deleted: the identity of that row may be there.
constexpr std::string_view newest_id_sql =
    "SELECT max(coalesce((SELECT max(id) FROM {rows}), 0), "
    "coalesce((SELECT id_max FROM deleted_rows WHERE table_name = '{rows}'), 0))";

/// "?, ?, ?"
std::string parameters(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += i == 0 ? "?" : ", ?";
  return text;
}

/// An identity with its place in the delivery, in the order of the stored 16 bytes.
struct IdentityAt {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::uint32_t index = 0;
  friend auto operator<=>(const IdentityAt&, const IdentityAt&) = default;
};

/// One kind's table: its mapper, counters, and statements while a connection is open.
struct Table {
  std::unique_ptr<RowMapper> mapper;
  telemetry::Counter& undecodable;
  std::vector<Value> row;
  std::optional<Statement> insert;
  std::optional<Statement> insert_identity;
  std::optional<Statement> adopt_identity;  // one that has no row any more
  std::optional<Statement> mend_identity;   // of a record that has its row already
  std::optional<Statement> newest_id;
  std::vector<IdentityAt> identities;  // of the delivery
  std::int64_t base_id = 0;            // ids of the delivery: base_id + place in it
  std::uint64_t undecodable_now = 0;   // in the delivery
};

void append_identity(std::vector<IdentityAt>& to, const Hash128& identity, std::uint32_t index) {
  if (identity == Hash128{}) return;  // has none: nothing to keep single
  to.push_back({std::byteswap(identity.low), std::byteswap(identity.high), index});
}

/// None when nothing is stored of this journal.
Result<std::optional<std::uint64_t>> read_cursor(Database& database, unsigned lane,
                                                 const Uuid& journal) {
  auto select = database.prepare(
      "SELECT next_sequence FROM sink_cursors WHERE sink = ? AND lane = ? AND journal_id = ?");
  if (!select) return std::unexpected(select.error());
  std::string journal_text = journal.text();
  select->bind(1, sink_name);
  select->bind(2, std::int64_t{lane});
  select->bind(3, std::string_view(journal_text));
  int code = select->step();
  if (code == SQLITE_DONE) return std::nullopt;
  if (code != SQLITE_ROW) return std::unexpected(database.error("read its cursor"));
  return static_cast<std::uint64_t>(select->integer(0));
}

class SqliteSink final : public pipeline::Sink {
 public:
  SqliteSink(SinkOptions options, std::vector<std::unique_ptr<RowMapper>> mappers,
             telemetry::Registry& metrics);

  std::string_view name() const noexcept override { return sink_name; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override;
  Result<void> deliver(std::span<const Record> records, const journal::Cursor& cursor) override;
  void reset() noexcept override;
  bool rolled_back() const noexcept override { return rolled_back_; }
  void give_up() noexcept override { given_up_.store(true, std::memory_order_relaxed); }

 private:
  Result<void> open();
  Result<void> prepare(Table& table);
  void use_journal(const Uuid& journal);
  Result<void> go_on() const;
  Result<void> in_place();
  Result<void> write(std::span<const Record> records, const journal::Cursor& cursor);
  Result<void> begin_table(Table& table);
  Result<void> write_identities(Table& table);
  Result<bool> write_identity(Table& table, const IdentityAt& identity);
  Result<void> mend_identity(Table& table, const Record& record);
  Result<void> write_row(Table& table, const Record& record, std::int64_t id);
  Result<void> write_cursor(const journal::Cursor& cursor);
  void bind_attributes(Table& table, const Record& record, bool decoded);
  void rollback() noexcept;
  void count_delivery();
  Table* table_of(const Record& record) noexcept {
    auto kind = static_cast<std::size_t>(record.attributes.kind);
    return kind < tables_by_kind_.size() ? tables_by_kind_[kind] : nullptr;
  }

  SinkOptions options_;
  telemetry::Counter& ignored_;
  std::optional<Database> database_;  // before the statements: it must outlive them
  std::vector<Table> tables_;
  std::array<Table*, 32> tables_by_kind_{};
  std::optional<Statement> begin_;
  std::optional<Statement> commit_;
  std::optional<Statement> update_cursor_;
  std::vector<bool> known_;        // by index in the delivery: its identity is stored already
  std::uint64_t ignored_now_ = 0;  // in the delivery
  bool rolled_back_ = false;       // likewise
  std::atomic<bool> given_up_{false};
  Uuid journal_;
  std::string journal_text_;
  // Of `journal_`, as this sink last read or wrote it, in whichever file; none: it had no row.
  std::optional<std::uint64_t> stored_;

  // What a row borrows while it is inserted.
  std::array<char, Uuid::text_size> record_id_{};
  std::array<char, Uuid::text_size> journal_id_{};
  std::array<char, Uuid::text_size> submission_id_{};
  std::array<char, 24> received_at_{};
};

SqliteSink::SqliteSink(SinkOptions options, std::vector<std::unique_ptr<RowMapper>> mappers,
                       telemetry::Registry& metrics)
    : options_(std::move(options)),
      ignored_(metrics.counter("trialwire_sqlite_rows_ignored_total",
                               "Records whose identity or record id had a row already.")) {
  tables_.reserve(mappers.size());
  for (auto& mapper : mappers) {
    auto kind = static_cast<std::size_t>(mapper->kind());
    std::string_view name = mapper->table().name;
    std::size_t columns = mapper->table().columns.size();
    auto& undecodable = metrics.counter("trialwire_sqlite_undecodable_total",
                                        "Records stored as their bytes: they cannot be decoded.",
                                        {{"table", std::string(name)}});
    TW_CHECK(kind < tables_by_kind_.size() && tables_by_kind_[kind] == nullptr);
    tables_.push_back({.mapper = std::move(mapper),
                       .undecodable = undecodable,
                       .row = std::vector<Value>(columns)});
    tables_by_kind_[kind] = &tables_.back();
  }
}

void SqliteSink::reset() noexcept {
  for (Table& table : tables_) {
    table.insert.reset();
    table.insert_identity.reset();
    table.adopt_identity.reset();
    table.mend_identity.reset();
    table.newest_id.reset();
  }
  begin_.reset();
  commit_.reset();
  update_cursor_.reset();
  database_.reset();
}

Result<void> SqliteSink::prepare(Table& table) {
  const RowTable& shape = table.mapper->table();
  std::string columns(attribute_columns);
  for (std::string_view column : shape.columns) columns.append(", ").append(column);
  // What another unique key keeps out is refused, not passed over: an operator's own index.
  auto insert = database_->prepare(
      fmt::format("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (record_id) DO NOTHING", shape.name,
                  columns, parameters(column_first_mapped - 1 + shape.columns.size())));
  if (!insert) return std::unexpected(insert.error());
  auto make = [this, &shape](std::optional<Statement>& statement,
                             std::string_view sql) -> Result<void> {
    auto made = database_->prepare(fmt::format(fmt::runtime(sql), fmt::arg("rows", shape.name),
                                               fmt::arg("ids", shape.identities)));
    if (!made) return std::unexpected(made.error());
    statement = std::move(*made);
    return {};
  };
  table.insert = std::move(*insert);
  for (auto [statement, sql] : {std::pair(&table.insert_identity, insert_identity_sql),
                                std::pair(&table.adopt_identity, adopt_identity_sql),
                                std::pair(&table.mend_identity, mend_identity_sql),
                                std::pair(&table.newest_id, newest_id_sql)}) {
    if (auto made = make(*statement, sql); !made) return made;
  }
  return {};
}

Result<void> SqliteSink::open() {
  if (update_cursor_) return {};
  reset();
  auto database = Database::open_writer(options_.database);
  if (!database) return std::unexpected(database.error());
  DatabaseSession session(*database);
  if (auto migrated = migrate(session); !migrated) return std::unexpected(migrated.error());
  database_ = std::move(*database);
  for (Table& table : tables_) {
    if (auto prepared = prepare(table); !prepared) return prepared;
  }
  auto begin = database_->prepare("BEGIN IMMEDIATE");
  if (!begin) return std::unexpected(begin.error());
  auto commit = database_->prepare("COMMIT");
  if (!commit) return std::unexpected(commit.error());
  // Only over the cursor that is known, be it none: what was delivered before is in that file.
  auto cursor = database_->prepare(
      "INSERT INTO sink_cursors (sink, lane, journal_id, next_sequence) SELECT ?1, ?2, ?3, ?4 "
      "WHERE (SELECT next_sequence FROM sink_cursors "
      "WHERE sink = ?1 AND lane = ?2 AND journal_id = ?3) IS ?5 "
      "ON CONFLICT DO UPDATE SET next_sequence = excluded.next_sequence");
  if (!cursor) return std::unexpected(cursor.error());
  begin_ = std::move(*begin);
  commit_ = std::move(*commit);
  update_cursor_ = std::move(*cursor);
  return {};
}

Result<journal::Cursor> SqliteSink::durable_cursor(const Uuid& journal) {
  if (auto opened = open(); !opened) return std::unexpected(opened.error());
  if (auto there = in_place(); !there) return std::unexpected(there.error());
  auto stored = read_cursor(*database_, options_.lane, journal);
  if (!stored) return std::unexpected(stored.error());
  use_journal(journal);
  stored_ = *stored;
  return journal::Cursor{journal, stored_.value_or(1)};
}

void SqliteSink::use_journal(const Uuid& journal) {
  if (journal_ == journal && !journal_text_.empty()) return;
  journal_ = journal;
  journal_text_ = journal.text();
  stored_.reset();
}

Result<void> SqliteSink::in_place() {
  if (!database_->moved()) return {};
  return fail(ErrorCode::unavailable, fmt::format("database {}: was moved away or replaced",
                                                  options_.database.path.string()));
}

Result<void> SqliteSink::go_on() const {
  if (!given_up_.load(std::memory_order_relaxed)) return {};
  return fail(ErrorCode::cancelled, "the delivery was given up");
}

Result<void> SqliteSink::deliver(std::span<const Record> records, const journal::Cursor& cursor) {
  rolled_back_ = false;
  if (auto opened = open(); !opened) return opened;
  if (auto there = in_place(); !there) return there;
  if (begin_->run() != SQLITE_DONE) return std::unexpected(database_->error("begin"));
  auto written = write(records, cursor);
  if (!written) {
    rollback();
    return written;
  }
  if (commit_->run() != SQLITE_DONE) {
    Error error = database_->error("commit");
    rollback();
    return std::unexpected(std::move(error));
  }
  stored_ = cursor.next_sequence;
  count_delivery();
  return {};
}

Result<void> SqliteSink::write(std::span<const Record> records, const journal::Cursor& cursor) {
  use_journal(cursor.journal);
  known_.assign(records.size(), false);
  ignored_now_ = 0;
  for (Table& table : tables_) {
    if (auto begun = begin_table(table); !begun) return begun;
  }
  for (std::uint32_t i = 0; i < records.size(); ++i) {
    Table* table = table_of(records[i]);
    if (table != nullptr) append_identity(table->identities, records[i].attributes.identity, i);
  }
  for (Table& table : tables_) {
    if (auto done = write_identities(table); !done) return done;
  }
  for (std::uint32_t i = 0; i < records.size(); ++i) {
    Table* table = table_of(records[i]);
    if (table == nullptr || known_[i]) continue;
    if (auto goes_on = go_on(); !goes_on) return goes_on;
    if (auto done = write_row(*table, records[i], table->base_id + i); !done) {
      return done;
    }
  }
  return write_cursor(cursor);
}

Result<void> SqliteSink::begin_table(Table& table) {
  table.identities.clear();
  table.undecodable_now = 0;
  int code = table.newest_id->step();
  if (code == SQLITE_ROW) table.base_id = table.newest_id->integer(0) + 1;
  table.newest_id->reset();
  if (code != SQLITE_ROW) return std::unexpected(database_->error("read the newest row id"));
  return {};
}

/// As it is stored.
std::array<std::uint64_t, 2> stored_identity(const IdentityAt& identity) {
  return {std::byteswap(identity.first), std::byteswap(identity.second)};
}

/// In their stored order, and of equal ones the earlier record first: it gets the row.
Result<void> SqliteSink::write_identities(Table& table) {
  std::sort(table.identities.begin(), table.identities.end());
  for (const IdentityAt& identity : table.identities) {
    if (auto goes_on = go_on(); !goes_on) return goes_on;
    auto written = write_identity(table, identity);
    if (!written) return std::unexpected(written.error());
    if (*written) continue;
    known_[identity.index] = true;
    ++ignored_now_;
  }
  return {};
}

/// False when a row has it. One whose row was deleted keeps no record out.
Result<bool> SqliteSink::write_identity(Table& table, const IdentityAt& identity) {
  const auto stored = stored_identity(identity);
  const ByteView bytes = std::as_bytes(std::span(stored));
  table.insert_identity->bind(1, bytes);
  table.insert_identity->bind(2, table.base_id + identity.index);
  if (table.insert_identity->run() != SQLITE_DONE) {
    return std::unexpected(database_->error("insert an identity"));
  }
  if (database_->changes() > 0) return true;
  table.adopt_identity->bind(1, bytes);
  table.adopt_identity->bind(2, table.base_id + identity.index);
  table.adopt_identity->bind(3, table.base_id);
  if (table.adopt_identity->run() != SQLITE_DONE) {
    return std::unexpected(database_->error("look for the row of an identity"));
  }
  return database_->changes() > 0;
}

/// Its identity was deleted, its row was not: the identity is to name that row.
Result<void> SqliteSink::mend_identity(Table& table, const Record& record) {
  const Hash128& identity = record.attributes.identity;
  if (identity == Hash128{}) return {};
  const std::array<std::uint64_t, 2> stored{identity.low, identity.high};
  table.mend_identity->bind(1, std::as_bytes(std::span(stored)));
  table.mend_identity->bind(2, std::string_view(record_id_.data(), record_id_.size()));
  if (table.mend_identity->run() != SQLITE_DONE) {
    return std::unexpected(database_->error("store the row of an identity"));
  }
  return {};
}

void SqliteSink::bind_attributes(Table& table, const Record& record, bool decoded) {
  Statement& insert = *table.insert;
  const RecordAttributes& attributes = record.attributes;
  record_id({record.journal, record.epoch, record.sequence, attributes.received_ns})
      .write(record_id_.data());
  record.journal.write(journal_id_.data());
  write_rfc3339_ms(attributes.received_ns, received_at_.data());
  auto text = [&insert](int column, std::string_view value) {
    value.empty() ? insert.bind_null(column) : insert.bind(column, value);
  };
  insert.bind(column_record_id, std::string_view(record_id_.data(), record_id_.size()));
  insert.bind(column_journal_id, std::string_view(journal_id_.data(), journal_id_.size()));
  insert.bind(column_sequence, static_cast<std::int64_t>(record.sequence));
  insert.bind(column_received_at, std::string_view(received_at_.data(), received_at_.size()));
  insert.bind(column_flags, attributes.flags | (decoded ? 0 : flag_undecodable));
  text(column_principal, attributes.principal);
  text(column_origin, attributes.origin);
  if (attributes.submission == Uuid{}) {
    insert.bind_null(column_submission_id);
    insert.bind_null(column_submission_index);
    insert.bind_null(column_submission_count);
  } else {
    attributes.submission.write(submission_id_.data());
    insert.bind(column_submission_id,
                std::string_view(submission_id_.data(), submission_id_.size()));
    insert.bind(column_submission_index, std::int64_t{attributes.submission_index});
    insert.bind(column_submission_count, std::int64_t{attributes.submission_count});
  }
  decoded ? insert.bind_null(column_original) : insert.bind(column_original, record.bytes);
}

Result<void> SqliteSink::write_row(Table& table, const Record& record, std::int64_t id) {
  std::fill(table.row.begin(), table.row.end(), Value{});
  bool decoded = table.mapper->map(record, table.row);
  if (!decoded) ++table.undecodable_now;
  table.insert->bind(column_id, id);
  bind_attributes(table, record, decoded);
  int column = column_first_mapped;
  for (const Value& value : table.row) table.insert->bind(column++, value);
  if (table.insert->run() != SQLITE_DONE) return std::unexpected(database_->error("insert a row"));
  if (database_->changes() > 0) return {};
  ++ignored_now_;
  return mend_identity(table, record);
}

Result<void> SqliteSink::write_cursor(const journal::Cursor& cursor) {
  update_cursor_->bind(1, sink_name);
  update_cursor_->bind(2, std::int64_t{options_.lane});
  update_cursor_->bind(3, std::string_view(journal_text_));
  update_cursor_->bind(4, static_cast<std::int64_t>(cursor.next_sequence));
  if (stored_) {
    update_cursor_->bind(5, static_cast<std::int64_t>(*stored_));
  } else {
    update_cursor_->bind_null(5);
  }
  if (update_cursor_->run() != SQLITE_DONE) {
    return std::unexpected(database_->error("store its cursor"));
  }
  if (database_->changes() == 0) {
    return fail(ErrorCode::conflict,
                fmt::format("database {}: holds another cursor than the last known one, {}",
                            options_.database.path.string(), stored_.value_or(1)));
  }
  return {};
}

void SqliteSink::rollback() noexcept {
  // Some errors have rolled back already.
  if (sqlite3_get_autocommit(database_->handle()) == 0) {
    sqlite3_exec(database_->handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  rolled_back_ = sqlite3_get_autocommit(database_->handle()) != 0;
}

void SqliteSink::count_delivery() {
  ignored_.add(ignored_now_);
  for (Table& table : tables_) table.undecodable.add(table.undecodable_now);
}

}  // namespace

std::unique_ptr<pipeline::Sink> make_sink(SinkOptions options,
                                          std::vector<std::unique_ptr<RowMapper>> mappers,
                                          telemetry::Registry& metrics) {
  return std::make_unique<SqliteSink>(std::move(options), std::move(mappers), metrics);
}

}  // namespace trialwire::storage::sqlite
