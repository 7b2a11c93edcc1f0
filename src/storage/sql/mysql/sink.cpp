// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/sink.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/sql/migrations.hpp"
#include "storage/sql/mysql/bulk_writer.hpp"
#include "storage/sql/mysql/error_number.hpp"
#include "storage/sql/mysql/insert_writer.hpp"
#include "storage/sql/mysql/row_writer.hpp"
#include "storage/sql/mysql/session.hpp"
#include "telemetry/log.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::storage::mysql {
namespace {

using journal::Record;

/// One kind: its rows that are not sent yet, and its counts in the delivery.
struct Table {
  Table(std::unique_ptr<RowMapper> mapper, telemetry::Registry& metrics)
      : rows(std::move(mapper)),
        inserting(fmt::format("insert into {}", rows.table().name)),
        undecodable(metrics.counter("trialwire_mysql_undecodable_total",
                                    "Records stored as their bytes: they cannot be decoded.",
                                    {{"table", std::string(rows.table().name)}})) {}

  RowWriter rows;
  // While there is a connection; of the two, `batch` takes the delivery.
  std::unique_ptr<RowBatch> text;
  std::unique_ptr<RowBatch> arrays;  // null: the server takes none
  RowBatch* batch = nullptr;
  std::string inserting;  // for errors
  telemetry::Counter& undecodable;
  std::uint64_t undecodable_now = 0;
};

class MysqlSink final : public pipeline::Sink {
 public:
  MysqlSink(SinkOptions options, std::vector<std::unique_ptr<RowMapper>> mappers,
            telemetry::Registry& metrics);

  std::string_view name() const noexcept override { return sink_name; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override;
  Result<void> deliver(std::span<const Record> records, const journal::Cursor& cursor) override;
  void reset() noexcept override;
  bool rolled_back() const noexcept override { return rolled_back_; }
  void give_up() noexcept override { interrupt_.raise(); }

 private:
  Result<void> open();
  Result<void> bring_up_to_date(Connection& connection);
  Result<std::optional<std::uint64_t>> read_cursor();
  void use_journal(const Uuid& journal);
  Result<void> transact(std::span<const Record> records, const journal::Cursor& cursor);
  Result<void> write(std::span<const Record> records, const journal::Cursor& cursor);
  Result<void> write_cursor(const journal::Cursor& cursor);
  Result<void> insert_cursor(const journal::Cursor& cursor);
  Result<void> update_cursor(const journal::Cursor& cursor);
  Result<void> write_row(Table& table, const Record& record);
  Result<void> send(Table& table);
  Result<std::uint64_t> run(std::string_view sql, std::string_view doing);
  Result<std::uint64_t> checked(Result<std::uint64_t> done);
  void roll_back() noexcept;
  void count_delivery();
  Error another_cursor() const;
  Error for_lane(Error error) const;
  std::string of_lane() const;
  Patience patience() const {
    return {.interrupt = &interrupt_,
            .deadline = std::chrono::steady_clock::now() + options_.statement};
  }

  SinkOptions options_;
  telemetry::Counter& ignored_;
  telemetry::Counter& deadlocks_;
  std::optional<Connection> connection_;  // before the tables: it must outlive their batches
  std::vector<Table> tables_;
  std::array<Table*, 32> tables_by_kind_{};
  Interrupt interrupt_;
  std::uint64_t ignored_now_ = 0;  // in the delivery
  // Why the transaction failed; if neither: for good.
  bool deadlocked_ = false;
  bool row_exists_ = false;
  bool rolled_back_ = false;
  unsigned text_deliveries_ = 0;  // to come, before arrays are tried again
  Uuid journal_;
  std::string journal_text_;
  // Of `journal_`, as this sink last read or wrote it, in whichever database; none: it had no row.
  std::optional<std::uint64_t> stored_;
};

MysqlSink::MysqlSink(SinkOptions options, std::vector<std::unique_ptr<RowMapper>> mappers,
                     telemetry::Registry& metrics)
    : options_(std::move(options)),
      ignored_(metrics.counter("trialwire_mysql_rows_ignored_total",
                               "Records whose identity or record id had a row already.")),
      deadlocks_(metrics.counter("trialwire_mysql_deadlocks_total",
                                 "Deliveries that lost a deadlock and were tried again.")) {
  tables_.reserve(mappers.size());
  for (auto& mapper : mappers) {
    auto kind = static_cast<std::size_t>(mapper->kind());
    TW_CHECK(kind < tables_by_kind_.size() && tables_by_kind_[kind] == nullptr);
    tables_by_kind_[kind] = &tables_.emplace_back(std::move(mapper), metrics);
  }
}

void MysqlSink::reset() noexcept {
  for (Table& table : tables_) {
    table.batch = nullptr;
    table.text.reset();
    table.arrays.reset();
  }
  connection_.reset();
}

Result<void> MysqlSink::open() {
  if (connection_ && !connection_->broken()) return {};
  reset();
  auto connection = Connection::connect(options_.connection, {.interrupt = &interrupt_});
  if (!connection) return std::unexpected(connection.error());
  if (auto migrated = bring_up_to_date(*connection); !migrated) {
    return std::unexpected(for_lane(std::move(migrated.error())));
  }
  const ServerFacts& facts = connection->facts();
  if (!facts.commits_are_synced && options_.lane == 0) {
    telemetry::log(telemetry::LogLevel::warn, "storage",
                   "the database may lose committed rows when its machine fails: it wants "
                   "innodb_flush_log_at_trx_commit=1 and, with a binary log, sync_binlog=1",
                   {{"database", connection->name()}});
  }
  const BatchLimits limits{.batch_bytes = options_.batch_bytes,
                           .packet_bytes = facts.packet_bytes_max};
  for (Table& table : tables_) {
    const RowWriter& rows = table.rows;
    table.text = std::make_unique<InsertWriter>(rows.table().name, rows.columns(), limits);
    if (!options_.arrays || !facts.takes_arrays) continue;
    table.arrays = std::make_unique<BulkWriter>(rows.table().name, rows.columns(), limits);
  }
  connection_ = std::move(*connection);
  return {};
}

/// A step has more time than a delivery; a server that has nothing to do does not get it.
Result<void> MysqlSink::bring_up_to_date(Connection& connection) {
  MysqlSession session(connection, {.interrupt = &interrupt_, .statement = options_.statement});
  auto version = applied_migration(session);
  if (!version) return std::unexpected(version.error());
  if (*version == newest_migration(session.dialect())) return {};
  MysqlSession patient(connection, {.interrupt = &interrupt_, .statement = migration_patience});
  if (auto migrated = migrate(patient); !migrated) return std::unexpected(migrated.error());
  return {};
}

Result<std::uint64_t> MysqlSink::checked(Result<std::uint64_t> done) {
  if (done) return done;
  deadlocked_ = connection_->error_number() == error_deadlock;
  return std::unexpected(for_lane(std::move(done.error())));
}

Result<std::uint64_t> MysqlSink::run(std::string_view sql, std::string_view doing) {
  return checked(connection_->run(sql, doing, patience()));
}

/// A statement that someone killed on the server is none that was given up here.
Error MysqlSink::for_lane(Error error) const {
  if (error.code == ErrorCode::cancelled && !interrupt_.raised()) {
    error.code = ErrorCode::unavailable;
  }
  return error;
}

std::string MysqlSink::of_lane() const {
  return fmt::format("sink = '{}' AND lane = {} AND journal_id = '{}'", sink_name, options_.lane,
                     journal_text_);
}

Result<journal::Cursor> MysqlSink::durable_cursor(const Uuid& journal) {
  if (auto opened = open(); !opened) return std::unexpected(opened.error());
  use_journal(journal);
  auto stored = read_cursor();
  if (!stored) return std::unexpected(stored.error());
  stored_ = *stored;
  return journal::Cursor{journal, stored_.value_or(1)};
}

Result<std::optional<std::uint64_t>> MysqlSink::read_cursor() {
  auto rows =
      connection_->rows(fmt::format("SELECT next_sequence FROM sink_cursors WHERE {}", of_lane()),
                        "read its cursor", patience());
  if (!rows) return std::unexpected(for_lane(std::move(rows.error())));
  if (rows->empty()) return std::nullopt;
  const std::string text = rows->front().front().value_or("");
  std::uint64_t sequence = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sequence);
  if (error == std::errc() && end == text.data() + text.size() && sequence >= 1) return sequence;
  return fail(ErrorCode::corrupt,
              fmt::format("mysql {}: holds a cursor that cannot be", connection_->name()));
}

void MysqlSink::use_journal(const Uuid& journal) {
  if (journal_ == journal && !journal_text_.empty()) return;
  journal_ = journal;
  journal_text_ = journal.text();
  stored_.reset();
}

Result<void> MysqlSink::deliver(std::span<const Record> records, const journal::Cursor& cursor) {
  if (interrupt_.raised()) return fail(ErrorCode::cancelled, "the delivery was given up");
  if (auto opened = open(); !opened) return opened;
  use_journal(cursor.journal);
  for (unsigned deadlocks = 0;;) {
    auto done = transact(records, cursor);
    if (done) break;
    const bool again = row_exists_ || (deadlocked_ && deadlocks < options_.deadlock_retries);
    if (!again || !connection_) return done;
    if (row_exists_) {
      text_deliveries_ = std::max(1U, options_.text_deliveries);
    } else {
      ++deadlocks;
      deadlocks_.add(1);
    }
  }
  if (text_deliveries_ > 0) --text_deliveries_;
  stored_ = cursor.next_sequence;
  count_delivery();
  return {};
}

Result<void> MysqlSink::transact(std::span<const Record> records, const journal::Cursor& cursor) {
  deadlocked_ = false;
  row_exists_ = false;
  rolled_back_ = false;
  if (auto begun = run("START TRANSACTION", "begin"); !begun) {
    return std::unexpected(begun.error());
  }
  auto written = write(records, cursor);
  if (!written) {
    roll_back();
    return written;
  }
  auto committed = run("COMMIT", "commit");
  if (!committed) return std::unexpected(committed.error());
  return {};
}

Result<void> MysqlSink::write(std::span<const Record> records, const journal::Cursor& cursor) {
  ignored_now_ = 0;
  for (Table& table : tables_) {
    const bool as_arrays = table.arrays != nullptr && text_deliveries_ == 0;
    table.batch = as_arrays ? table.arrays.get() : table.text.get();
    table.batch->clear();
    table.undecodable_now = 0;
  }
  if (auto stored = write_cursor(cursor); !stored) return stored;
  for (const Record& record : records) {
    auto kind = static_cast<std::size_t>(record.attributes.kind);
    Table* table = kind < tables_by_kind_.size() ? tables_by_kind_[kind] : nullptr;
    if (table == nullptr) continue;
    if (auto done = write_row(*table, record); !done) return done;
  }
  for (Table& table : tables_) {
    if (table.batch->rows() == 0) continue;
    if (auto sent = send(table); !sent) return sent;
  }
  return {};
}

/// Only over the cursor that is known, be it none: what was delivered before is in that database.
Result<void> MysqlSink::write_cursor(const journal::Cursor& cursor) {
  return stored_ ? update_cursor(cursor) : insert_cursor(cursor);
}

Result<void> MysqlSink::insert_cursor(const journal::Cursor& cursor) {
  auto inserted =
      run(fmt::format("INSERT INTO sink_cursors (sink, lane, journal_id, next_sequence) "
                      "VALUES ('{}', {}, '{}', {})",
                      sink_name, options_.lane, journal_text_, cursor.next_sequence),
          "store its cursor");
  if (inserted) return {};
  bool exists = connection_->error_number() == error_duplicate_key;
  return std::unexpected(exists ? another_cursor() : std::move(inserted.error()));
}

Result<void> MysqlSink::update_cursor(const journal::Cursor& cursor) {
  const std::string known = fmt::format("{} AND next_sequence = {}", of_lane(), *stored_);
  auto changed = run(fmt::format("UPDATE sink_cursors SET next_sequence = {} WHERE {}",
                                 cursor.next_sequence, known),
                     "store its cursor");
  if (!changed) return std::unexpected(changed.error());
  if (*changed == 1) return {};
  if (cursor.next_sequence == *stored_) {
    // To the same value is no change: is it there?
    auto found =
        connection_->rows(fmt::format("SELECT 1 FROM sink_cursors WHERE {} FOR UPDATE", known),
                          "store its cursor", patience());
    if (!found) return std::unexpected(for_lane(std::move(found.error())));
    if (!found->empty()) return {};
  }
  return std::unexpected(another_cursor());
}

Error MysqlSink::another_cursor() const {
  return {ErrorCode::conflict,
          fmt::format("mysql {}: holds another cursor than the last known one, {}",
                      connection_->name(), stored_.value_or(1))};
}

Result<void> MysqlSink::write_row(Table& table, const Record& record) {
  auto decoded = table.rows.begin(*table.batch, record);
  if (!decoded) return std::unexpected(decoded.error());
  if (!*decoded) ++table.undecodable_now;
  RowBatch::Row added = table.batch->end_row();
  if (added == RowBatch::Row::batch_full) {
    if (auto sent = send(table); !sent) return sent;
    added = table.batch->end_row();
  }
  if (added == RowBatch::Row::added) return {};
  return fail(ErrorCode::payload_too_large,
              fmt::format("mysql {}: {}: a row takes {} bytes, max_allowed_packet is {}",
                          connection_->name(), table.inserting, table.batch->row_bytes(),
                          connection_->facts().packet_bytes_max));
}

Result<void> MysqlSink::send(Table& table) {
  const std::size_t rows = table.batch->rows();
  auto inserted = checked(table.batch->send(*connection_, table.inserting, patience()));
  if (!inserted) {
    row_exists_ =
        table.batch == table.arrays.get() && connection_->error_number() == error_duplicate_key;
    return std::unexpected(inserted.error());
  }
  ignored_now_ += rows - *inserted;
  return {};
}

void MysqlSink::roll_back() noexcept {
  // Without it the connection is of no use: the server rolls back when it is dropped.
  rolled_back_ = !connection_->broken() && run("ROLLBACK", "roll back");
  if (!rolled_back_) reset();
}

void MysqlSink::count_delivery() {
  ignored_.add(ignored_now_);
  for (Table& table : tables_) table.undecodable.add(table.undecodable_now);
}

}  // namespace

std::unique_ptr<pipeline::Sink> make_sink(SinkOptions options,
                                          std::vector<std::unique_ptr<RowMapper>> mappers,
                                          telemetry::Registry& metrics) {
  return std::make_unique<MysqlSink>(std::move(options), std::move(mappers), metrics);
}

}  // namespace trialwire::storage::mysql
