// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/record_query.hpp"

#include <sqlite3.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "storage/page_cursor.hpp"
#include "storage/sql/list_select.hpp"
#include "storage/sql/page_writer.hpp"
#include "storage/sql/query_pool.hpp"
#include "storage/sql/sqlite/database.hpp"

namespace trialwire::storage::sqlite {
namespace {

constexpr std::size_t statements_max = 64;   // of one connection; there are fewer shapes
constexpr int steps_between_checks = 2'000;  // of SQLite's machine: well under a millisecond

struct Connection {
  // The statements must die first.
  Database database;
  SipKey cursor_key;
  std::unordered_map<std::string, Statement> statements;
};

/// While it lives, the connection's statements end when the query is given up.
class Interruptible {
 public:
  Interruptible(Database& database, const QueryControl& control) : handle_(database.handle()) {
    sqlite3_progress_handler(
        handle_, steps_between_checks,
        [](void* argument) {
          return given_up(*static_cast<const QueryControl*>(argument)) ? 1 : 0;
        },
        const_cast<QueryControl*>(&control));
  }
  ~Interruptible() { sqlite3_progress_handler(handle_, 0, nullptr, nullptr); }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  sqlite3* handle_;
};

/// The file is there, its tables are not yet.
Error without_tables(Error error) {
  if (error.code == ErrorCode::internal) error.code = ErrorCode::unavailable;
  return error;
}

class StatementRow final : public ListRow {
 public:
  explicit StatementRow(const Statement& statement) : statement_(statement) {}
  bool is_null(int column) const override { return statement_.is_null(column); }
  std::int64_t integer(int column) const override { return statement_.integer(column); }
  double real(int column) const override { return statement_.real(column); }
  std::string_view text(int column) const override { return statement_.text(column); }

 private:
  const Statement& statement_;
};

class SqliteRecordQuery final : public RecordQuery {
 public:
  explicit SqliteRecordQuery(RecordQueryOptions options)
      : options_(std::move(options)), pool_(options_.connections_max) {}

  Result<ListPage> list(const Principal& principal, const ListShape& shape,
                        const ListFilter& filter, const QueryControl& control) override {
    if (given_up(control)) return std::unexpected(reason_to_give_up(control));
    // One that moved would go on listing the file that was there before.
    auto connection = pool_.take([](const Connection& idle) { return !idle.database.moved(); },
                                 [this] { return connect(); });
    if (!connection) return std::unexpected(connection.error());
    Result<ListPage> page = read(**connection, principal, shape, filter, control);
    // After a failure of the database a new connection looks at it afresh.
    bool sound = page || page.error().code == ErrorCode::invalid_argument ||
                 page.error().code == ErrorCode::cancelled ||
                 page.error().code == ErrorCode::deadline_exceeded;
    pool_.give_back(sound ? std::move(*connection) : nullptr);
    return page;
  }

 private:
  Result<std::unique_ptr<Connection>> connect() const;
  Result<ListPage> read(Connection& connection, const Principal& principal, const ListShape& shape,
                        const ListFilter& filter, const QueryControl& control) const;
  static Result<ListPage> fill(Connection& connection, Statement& statement, PageWriter page,
                               const QueryControl& control);

  RecordQueryOptions options_;
  QueryPool<Connection> pool_;
};

Result<std::unique_ptr<Connection>> SqliteRecordQuery::connect() const {
  auto database = Database::open_reader({.path = options_.path,
                                         .cache_bytes = options_.cache_bytes,
                                         .busy_timeout = options_.busy_timeout});
  if (!database) return std::unexpected(database.error());
  auto connection = std::make_unique<Connection>(Connection{std::move(*database), SipKey{}, {}});
  auto key = connection->database.prepare("SELECT value FROM secrets WHERE name = 'page_cursor'");
  if (!key) {
    return std::unexpected(without_tables(key.error()));
  }
  if (key->step() != SQLITE_ROW || key->blob(0).size() != 16) {
    return fail(ErrorCode::unavailable, connection->database.error("read its key").text);
  }
  ByteView bytes = key->blob(0);
  connection->cursor_key = {load_le<std::uint64_t>(bytes.data()),
                            load_le<std::uint64_t>(bytes.data() + 8)};
  return connection;
}

Result<ListPage> SqliteRecordQuery::read(Connection& connection, const Principal& principal,
                                         const ListShape& shape, const ListFilter& filter,
                                         const QueryControl& control) const {
  auto begin = page_begin(shape, filter, connection.cursor_key);
  if (!begin) return std::unexpected(begin.error());
  ListSelect select(Dialect::sqlite, principal, shape, filter, *begin);
  auto found = connection.statements.find(select.sql());
  if (found == connection.statements.end()) {
    if (connection.statements.size() >= statements_max) connection.statements.clear();
    auto prepared = connection.database.prepare(select.sql());
    if (!prepared) return std::unexpected(without_tables(prepared.error()));
    found = connection.statements.emplace(select.sql(), std::move(*prepared)).first;
  }
  Statement& statement = found->second;
  int parameter = 1;
  for (const Value& value : select.parameters()) statement.bind(parameter++, value);
  Interruptible interruptible(connection.database, control);
  auto page =
      fill(connection, statement, PageWriter(shape, filter, options_.page_bytes_max), control);
  statement.reset();
  return page;
}

Result<ListPage> SqliteRecordQuery::fill(Connection& connection, Statement& statement,
                                         PageWriter page, const QueryControl& control) {
  StatementRow row(statement);
  while (true) {
    int code = statement.step();
    if (code == SQLITE_DONE) break;
    if (code != SQLITE_ROW) {
      Error error = connection.database.error("list records");
      if (error.code == ErrorCode::cancelled) return std::unexpected(reason_to_give_up(control));
      return std::unexpected(std::move(error));
    }
    if (!page.add(row)) break;
  }
  return page.finish(connection.cursor_key);
}

}  // namespace

std::unique_ptr<RecordQuery> make_record_query(RecordQueryOptions options) {
  return std::make_unique<SqliteRecordQuery>(std::move(options));
}

}  // namespace trialwire::storage::sqlite
