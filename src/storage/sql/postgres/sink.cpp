// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/sink.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "pipeline/sink_error.hpp"
#include "storage/sql/dialect.hpp"
#include "storage/sql/migrations.hpp"
#include "storage/sql/postgres/row_encoder.hpp"
#include "storage/sql/postgres/session.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::storage::postgres {
namespace {

using journal::Record;

constexpr std::string_view sink_name = "postgres";
constexpr std::string_view division_by_zero = "22012";
// Handed to libpq when so much is encoded: the server works on it while the next is encoded.
constexpr std::size_t piece_bytes = 128 << 10;
// The server ends a statement at its timeout; one that does not say so is not there any more.
constexpr std::chrono::seconds answer_patience{5};

std::string name(std::string_view text) {
  return quoted(Dialect::postgres, text);
}

/// One kind: its encoder, its statements, and its records of the delivery.
struct Table {
  Table(std::unique_ptr<RowMapper> mapper, telemetry::Registry& metrics)
      : encoder(std::move(mapper)),
        undecodable(metrics.counter("trialwire_postgres_undecodable_total",
                                    "Records stored as their bytes: they cannot be decoded.",
                                    {{"table", std::string(encoder.table().name)}})) {
    std::string staging = name(fmt::format("staged_{}", encoder.table().name));
    std::string columns;
    std::string definitions;
    for (const RecordColumn& column : encoder.columns()) {
      std::string_view comma = columns.empty() ? "" : ", ";
      columns.append(comma).append(name(column.name));
      definitions += fmt::format("{}{} {}", comma, name(column.name),
                                 column_type(Dialect::postgres, column.type));
    }
    create_staging =
        fmt::format("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DELETE ROWS; ", staging, definitions);
    copy = fmt::format("; COPY {} ({}) FROM STDIN (FORMAT binary)", staging, columns);
    const std::string own = name(encoder.table().name);
    insert = fmt::format(
        "; WITH inserted AS (INSERT INTO {0} ({2}) SELECT {2} FROM {1} ON CONFLICT DO NOTHING "
        "RETURNING 1) SELECT count(*), set_config('trialwire.inserted', count(*)::text, true) "
        "FROM inserted",
        own, staging, columns);
    kept_out = fmt::format(
        "EXISTS (SELECT FROM {1} s WHERE NOT EXISTS (SELECT FROM {0} o WHERE o.record_id = "
        "s.record_id) AND NOT EXISTS (SELECT FROM {0} o WHERE o.identity = s.identity))",
        own, staging);
  }
  /// Divides by zero when a record neither became a row nor has one. Where all became rows, which
  /// the server knows from the insertion, it looks nothing up.
  std::string check() const {
    return fmt::format(
        "; SELECT 1 / CASE WHEN current_setting('trialwire.inserted')::bigint = {} THEN 1 "
        "WHEN {} THEN 0 ELSE 1 END",
        records.size(), kept_out);
  }

  RowEncoder encoder;
  telemetry::Counter& undecodable;
  std::string create_staging;
  std::string copy;
  std::string insert;
  std::string kept_out;
  std::vector<const Record*> records;  // of the delivery, in its order
  std::uint64_t undecodable_now = 0;   // of them
};

class PostgresSink final : public pipeline::Sink {
 public:
  PostgresSink(SinkOptions options, std::vector<std::unique_ptr<RowMapper>> mappers,
               telemetry::Registry& metrics);

  std::string_view name() const noexcept override { return sink_name; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override;
  Result<void> deliver(std::span<const Record> records, const journal::Cursor& cursor) override;
  void reset() noexcept override { connection_.reset(); }
  bool rolled_back() const noexcept override { return rolled_back_; }
  void give_up() noexcept override { interrupt_.raise(); }

 private:
  Result<void> open();
  Result<void> bring_up_to_date(Connection& connection);
  Result<std::optional<std::uint64_t>> read_cursor();
  void use_journal(const Uuid& journal);
  void sort_by_table(std::span<const Record> records);
  std::string exchange(const journal::Cursor& cursor) const;
  std::string cursor_statement(const journal::Cursor& cursor) const;
  Result<void> write(const journal::Cursor& cursor);
  Result<void> begin(const journal::Cursor& cursor);
  Result<void> copy(Table& table);
  Result<void> swap_cursor();
  Result<void> insert(Table& table);
  Result<void> send_rows(Table& table);
  Result<void> commit();
  bool roll_back();
  void count_delivery();
  std::chrono::milliseconds answer_limit() const {
    return options_.connection.statement_timeout + answer_patience;
  }
  Patience patience() const {
    return {.interrupt = &interrupt_,
            .deadline = std::chrono::steady_clock::now() + answer_limit()};
  }

  SinkOptions options_;
  telemetry::Counter& ignored_;
  std::vector<Table> tables_;
  std::array<Table*, 32> tables_by_kind_{};
  std::optional<Connection> connection_;
  CopyEncoder buffer_;
  Interrupt interrupt_;
  std::uint64_t ignored_now_ = 0;  // in the delivery
  bool rolled_back_ = false;       // likewise
  Uuid journal_;
  std::string journal_text_;
  // Of `journal_`, as this sink last read or wrote it, in whichever database; none: it had no row.
  std::optional<std::uint64_t> stored_;
};

PostgresSink::PostgresSink(SinkOptions options, std::vector<std::unique_ptr<RowMapper>> mappers,
                           telemetry::Registry& metrics)
    : options_(std::move(options)),
      ignored_(metrics.counter("trialwire_postgres_rows_ignored_total",
                               "Records whose identity or record id had a row already.")) {
  tables_.reserve(mappers.size());
  for (auto& mapper : mappers) {
    auto kind = static_cast<std::size_t>(mapper->kind());
    TW_CHECK(kind < tables_by_kind_.size() && tables_by_kind_[kind] == nullptr);
    tables_by_kind_[kind] = &tables_.emplace_back(std::move(mapper), metrics);
  }
}

Result<void> PostgresSink::open() {
  if (connection_) return {};
  auto connection = Connection::connect(options_.connection, {.interrupt = &interrupt_});
  if (!connection) return std::unexpected(connection.error());
  if (auto migrated = bring_up_to_date(*connection); !migrated) return migrated;
  std::string staging;
  for (const Table& table : tables_) staging += table.create_staging;
  if (!staging.empty()) {
    auto created = connection->run(staging, "create temporary tables", patience());
    if (!created) return std::unexpected(created.error());
  }
  connection_ = std::move(*connection);
  return {};
}

/// A step has more time than a delivery; a server that has nothing to do does not get it.
Result<void> PostgresSink::bring_up_to_date(Connection& connection) {
  PostgresSession session(connection, {.interrupt = &interrupt_, .statement = answer_limit()});
  auto version = applied_migration(session);
  if (!version) return std::unexpected(version.error());
  if (*version == newest_migration(Dialect::postgres)) return {};
  const auto set_timeout = [&session](std::chrono::milliseconds timeout) {
    return session.execute(fmt::format("SET statement_timeout = {}", timeout.count()));
  };
  if (auto set = set_timeout(migration_patience); !set) return set;
  PostgresSession patient(
      connection, {.interrupt = &interrupt_, .statement = migration_patience + answer_patience});
  if (auto migrated = migrate(patient); !migrated) return std::unexpected(migrated.error());
  return set_timeout(options_.connection.statement_timeout);
}

Result<journal::Cursor> PostgresSink::durable_cursor(const Uuid& journal) {
  if (auto opened = open(); !opened) return std::unexpected(opened.error());
  use_journal(journal);
  auto stored = read_cursor();
  if (!stored) {
    reset();
    return std::unexpected(stored.error());
  }
  stored_ = *stored;
  return journal::Cursor{journal, stored_.value_or(1)};
}

Result<std::optional<std::uint64_t>> PostgresSink::read_cursor() {
  auto answer =
      connection_->run(fmt::format("SELECT next_sequence FROM sink_cursors "
                                   "WHERE sink = '{}' AND lane = {} AND journal_id = '{}'",
                                   sink_name, options_.lane, journal_text_),
                       "read its cursor", patience());
  if (!answer) return std::unexpected(answer.error());
  if (!answer->has_row()) return std::nullopt;
  return static_cast<std::uint64_t>(answer->integer(0, 0));
}

void PostgresSink::use_journal(const Uuid& journal) {
  if (journal_ == journal && !journal_text_.empty()) return;
  journal_ = journal;
  journal_text_ = journal.text();
  stored_.reset();
}

Result<void> PostgresSink::deliver(std::span<const Record> records, const journal::Cursor& cursor) {
  if (auto opened = open(); !opened) return opened;
  use_journal(cursor.journal);
  sort_by_table(records);
  rolled_back_ = false;
  if (auto written = write(cursor); !written) {
    rolled_back_ = pipeline::is_refusal(written.error().code) && roll_back();
    if (!rolled_back_) reset();  // whatever has become of the transaction
    return written;
  }
  stored_ = cursor.next_sequence;
  count_delivery();
  return {};
}

void PostgresSink::sort_by_table(std::span<const Record> records) {
  ignored_now_ = 0;
  for (Table& table : tables_) {
    table.records.clear();
    table.undecodable_now = 0;
  }
  for (const Record& record : records) {
    auto kind = static_cast<std::size_t>(record.attributes.kind);
    Table* table = kind < tables_by_kind_.size() ? tables_by_kind_[kind] : nullptr;
    if (table != nullptr) table->records.push_back(&record);
  }
}

/// Only over the cursor that is known, be it none: what was delivered before is in that database.
/// Where there is another one it divides by zero, and the server ends the transaction by itself.
std::string PostgresSink::cursor_statement(const journal::Cursor& cursor) const {
  const std::string change =
      stored_ ? fmt::format(
                    "UPDATE sink_cursors SET next_sequence = {} "
                    "WHERE sink = '{}' AND lane = {} AND journal_id = '{}' AND next_sequence = {}",
                    cursor.next_sequence, sink_name, options_.lane, journal_text_, *stored_)
              : fmt::format(
                    "INSERT INTO sink_cursors (sink, lane, journal_id, next_sequence) "
                    "VALUES ('{}', {}, '{}', {}) ON CONFLICT DO NOTHING",
                    sink_name, options_.lane, journal_text_, cursor.next_sequence);
  return fmt::format("WITH swapped AS ({} RETURNING 1) SELECT 1 / count(*) FROM swapped", change);
}

std::string PostgresSink::exchange(const journal::Cursor& cursor) const {
  std::string sql = "BEGIN ISOLATION LEVEL READ COMMITTED";
  for (const Table& table : tables_) {
    if (!table.records.empty()) sql += table.copy;
  }
  sql += "; " + cursor_statement(cursor);
  for (const Table& table : tables_) {
    if (!table.records.empty()) sql += table.insert + table.check();
  }
  return sql + "; COMMIT";
}

Result<void> PostgresSink::write(const journal::Cursor& cursor) {
  if (auto begun = begin(cursor); !begun) return begun;
  for (Table& table : tables_) {
    if (table.records.empty()) continue;
    if (auto copied = copy(table); !copied) return copied;
  }
  if (auto swapped = swap_cursor(); !swapped) return swapped;
  for (Table& table : tables_) {
    if (table.records.empty()) continue;
    if (auto inserted = insert(table); !inserted) return inserted;
  }
  return commit();
}

Result<void> PostgresSink::begin(const journal::Cursor& cursor) {
  if (auto sent = connection_->send(exchange(cursor)); !sent) return sent;
  auto begun = connection_->next("begin", patience());
  if (!begun) return std::unexpected(begun.error());
  return {};
}

Result<void> PostgresSink::swap_cursor() {
  auto swapped = connection_->next("store its cursor", patience());
  if (swapped) return {};
  if (connection_->sqlstate() != division_by_zero) return std::unexpected(swapped.error());
  return fail(ErrorCode::conflict,
              fmt::format("postgres {}: holds another cursor than the last known one, {}",
                          connection_->name(), stored_.value_or(1)));
}

Result<void> PostgresSink::copy(Table& table) {
  auto ready = connection_->next("copy rows", patience());
  if (!ready) return std::unexpected(ready.error());
  if (!ready->wants_copy()) return fail(ErrorCode::internal, "the server wants no rows");
  if (auto sent = send_rows(table); !sent) return sent;
  if (auto ended = connection_->end_copy(patience()); !ended) return ended;
  auto copied = connection_->next("copy rows", patience());
  if (!copied) return std::unexpected(copied.error());
  return {};
}

Result<void> PostgresSink::insert(Table& table) {
  auto inserted = connection_->next("insert rows", patience());
  if (!inserted) return std::unexpected(inserted.error());
  ignored_now_ += table.records.size() - static_cast<std::uint64_t>(inserted->integer(0, 0));
  if (auto whole = connection_->next("insert rows", patience()); !whole) {
    if (connection_->sqlstate() != division_by_zero) return std::unexpected(whole.error());
    return fail(ErrorCode::invalid_argument,
                fmt::format("postgres {}: cannot insert rows: a unique key of table {} besides "
                            "record_id and identity keeps one out",
                            connection_->name(), table.encoder.table().name));
  }
  return {};
}

Result<void> PostgresSink::send_rows(Table& table) {
  buffer_.clear();
  buffer_.header();
  for (const Record* record : table.records) {
    auto decoded = table.encoder.append(buffer_, *record);
    if (!decoded) return std::unexpected(decoded.error());
    if (!*decoded) ++table.undecodable_now;
    if (buffer_.size() < piece_bytes) continue;
    if (auto sent = connection_->copy(buffer_.view(), patience()); !sent) return sent;
    buffer_.clear();
  }
  buffer_.trailer();
  return connection_->copy(buffer_.view(), patience());
}

Result<void> PostgresSink::commit() {
  auto committed = connection_->next("commit", patience());
  if (!committed) return std::unexpected(committed.error());
  if (committed->get() == nullptr || committed->command() != "COMMIT") {
    return fail(ErrorCode::unavailable,
                fmt::format("postgres {}: the transaction was not committed", connection_->name()));
  }
  connection_->drain(patience());
  return {};
}

/// True: the server says that the transaction is no more.
bool PostgresSink::roll_back() {
  connection_->drain(patience());
  return connection_->run("ROLLBACK", "roll back", patience()) && connection_->idle();
}

void PostgresSink::count_delivery() {
  ignored_.add(ignored_now_);
  for (Table& table : tables_) table.undecodable.add(table.undecodable_now);
}

}  // namespace

std::unique_ptr<pipeline::Sink> make_sink(SinkOptions options,
                                          std::vector<std::unique_ptr<RowMapper>> mappers,
                                          telemetry::Registry& metrics) {
  return std::make_unique<PostgresSink>(std::move(options), std::move(mappers), metrics);
}

}  // namespace trialwire::storage::postgres
