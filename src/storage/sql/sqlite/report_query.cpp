// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/report_query.hpp"

#include <sqlite3.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "storage/json_text.hpp"
#include "storage/page_cursor.hpp"
#include "storage/sql/sqlite/report_select.hpp"

namespace trialwire::storage::sqlite {
namespace {

constexpr std::uint32_t limit_max = 1'000;
constexpr std::size_t statements_max = 64;   // of one connection; there are fewer shapes
constexpr int steps_between_checks = 2'000;  // of SQLite's machine: well under a millisecond

struct Connection {
  // The statements must die first.
  Database database;
  SipKey cursor_key;
  std::unordered_map<std::string, Statement> statements;
};

bool given_up(const QueryControl& control) {
  return control.stop.stop_requested() || std::chrono::steady_clock::now() >= control.deadline;
}

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

void append_integer(std::string& to, std::int64_t value) {
  fmt::format_to(std::back_inserter(to), "{}", value);
}

void append_text(std::string& to, std::string_view key, const Statement& row, int column) {
  if (row.is_null(column)) return;
  to.append(",\"").append(key).append("\":");
  append_json_string(to, row.text(column));
}

void append_flags(std::string& to, std::int64_t flags, const std::array<std::string, 8>& names) {
  std::size_t before = to.size();
  auto name = [&](std::string_view text) {
    to += to.size() == before ? ",\"flags\":[" : ",";
    append_json_string(to, text);
  };
  for (std::size_t bit = 0; bit < names.size(); ++bit) {
    if (((flags >> bit) & 1) != 0 && !names[bit].empty()) name(names[bit]);
  }
  if ((flags & flag_undecodable) != 0) name("undecodable");
  if (to.size() != before) to += ']';
}

void append_item(std::string& to, const Statement& row,
                 const std::array<std::string, 8>& flag_names) {
  to += "{\"recordId\":";
  append_json_string(to, row.text(report_record_id));
  to += ",\"sequence\":";
  append_integer(to, row.integer(report_sequence));
  append_text(to, "receivedAt", row, report_received_at);
  append_text(to, "patientId", row, report_patient_id);
  append_text(to, "trialId", row, report_trial_id);
  append_text(to, "timestamp", row, report_timestamp);
  if (!row.is_null(report_qol_score)) {
    to += ",\"qolScore\":";
    append_integer(to, row.integer(report_qol_score));
  }
  append_text(to, "comments", row, report_comments);
  append_text(to, "siteId", row, report_site_id);
  append_text(to, "reportId", row, report_report_id);
  append_text(to, "instrument", row, report_instrument);
  append_text(to, "instrumentVersion", row, report_instrument_version);
  append_text(to, "visitId", row, report_visit_id);
  if (!row.is_null(report_answers)) {
    // Stored as the sender's JSON object, which intake has checked.
    to.append(",\"answers\":").append(row.text(report_answers));
  }
  append_flags(to, row.integer(report_flags), flag_names);
  to += '}';
}

class SqliteReportQuery final : public ReportQuery {
 public:
  explicit SqliteReportQuery(ReportQueryOptions options) : options_(std::move(options)) {}

  Result<ReportPage> reports(const Principal& principal, const ReportFilter& filter,
                             const QueryControl& control) override {
    if (filter.limit < 1 || filter.limit > limit_max) {
      return fail(ErrorCode::invalid_argument, "limit: must be from 1 to 1000");
    }
    if (given_up(control)) return std::unexpected(reason(control));
    auto connection = acquire();
    if (!connection) return std::unexpected(connection.error());
    Result<ReportPage> page = read(**connection, principal, filter, control);
    // After a failure of the database a new connection looks at it afresh.
    bool sound = page || page.error().code == ErrorCode::invalid_argument ||
                 page.error().code == ErrorCode::cancelled ||
                 page.error().code == ErrorCode::deadline_exceeded;
    release(sound ? std::move(*connection) : nullptr);
    return page;
  }

 private:
  static Error reason(const QueryControl& control) {
    if (control.stop.stop_requested()) {
      return {ErrorCode::cancelled, "the query was cancelled"};
    }
    return {ErrorCode::deadline_exceeded, "the query took too long: narrow its filters"};
  }

  Result<std::unique_ptr<Connection>> acquire();
  Result<std::unique_ptr<Connection>> connect() const;
  void release(std::unique_ptr<Connection> connection);
  Result<ReportPage> read(Connection& connection, const Principal& principal,
                          const ReportFilter& filter, const QueryControl& control) const;
  Result<ReportPage> fill(Connection& connection, Statement& statement, const ReportFilter& filter,
                          const QueryControl& control) const;

  ReportQueryOptions options_;
  std::mutex mutex_;  // of what follows
  std::vector<std::unique_ptr<Connection>> idle_;
  std::size_t open_ = 0;
};

Result<std::unique_ptr<Connection>> SqliteReportQuery::acquire() {
  {
    std::lock_guard lock(mutex_);
    while (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      if (!connection->database.moved()) return connection;
      --open_;  // it would go on listing the file that was there before
    }
    if (open_ >= options_.connections_max) {
      return fail(ErrorCode::overloaded, "all database connections are in use");
    }
    ++open_;
  }
  auto connection = connect();
  if (!connection) release(nullptr);
  return connection;
}

void SqliteReportQuery::release(std::unique_ptr<Connection> connection) {
  std::lock_guard lock(mutex_);
  if (connection) {
    idle_.push_back(std::move(connection));
  } else {
    --open_;
  }
}

Result<std::unique_ptr<Connection>> SqliteReportQuery::connect() const {
  auto database = Database::open_reader({.path = options_.path,
                                         .cache_bytes = options_.cache_bytes,
                                         .busy_timeout = options_.busy_timeout});
  if (!database) return std::unexpected(database.error());
  auto connection = std::make_unique<Connection>(Connection{std::move(*database), SipKey{}, {}});
  auto key = connection->database.prepare("SELECT value FROM secrets WHERE name = 'page_cursor'");
  if (!key) {
    // The file is there, its tables are not yet.
    return fail(ErrorCode::unavailable, key.error().text);
  }
  if (key->step() != SQLITE_ROW || key->blob(0).size() != 16) {
    return fail(ErrorCode::unavailable, connection->database.error("read its key").text);
  }
  ByteView bytes = key->blob(0);
  connection->cursor_key = {load_le<std::uint64_t>(bytes.data()),
                            load_le<std::uint64_t>(bytes.data() + 8)};
  return connection;
}

Result<ReportPage> SqliteReportQuery::read(Connection& connection, const Principal& principal,
                                           const ReportFilter& filter,
                                           const QueryControl& control) const {
  std::optional<PagePosition> after;
  if (!filter.cursor.empty()) {
    after = decode_page_cursor(filter.cursor, connection.cursor_key);
    if (!after) return fail(ErrorCode::invalid_argument, "cursor: is not one of this list");
  }
  ReportSelect select(principal, filter, after);
  auto found = connection.statements.find(select.sql());
  if (found == connection.statements.end()) {
    if (connection.statements.size() >= statements_max) connection.statements.clear();
    auto prepared = connection.database.prepare(select.sql());
    if (!prepared) return std::unexpected(prepared.error());
    found = connection.statements.emplace(select.sql(), std::move(*prepared)).first;
  }
  Statement& statement = found->second;
  int parameter = 1;
  for (const Value& value : select.parameters()) statement.bind(parameter++, value);
  Interruptible interruptible(connection.database, control);
  Result<ReportPage> page = fill(connection, statement, filter, control);
  statement.reset();
  return page;
}

Result<ReportPage> SqliteReportQuery::fill(Connection& connection, Statement& statement,
                                           const ReportFilter& filter,
                                           const QueryControl& control) const {
  ReportPage page;
  page.json = "{\"items\":[";
  PagePosition last;
  bool more = false;
  while (true) {
    int code = statement.step();
    if (code == SQLITE_DONE) break;
    if (code != SQLITE_ROW) {
      Error error = connection.database.error("list reports");
      if (error.code == ErrorCode::cancelled) return std::unexpected(reason(control));
      return std::unexpected(std::move(error));
    }
    if (page.items == filter.limit || page.json.size() >= options_.page_bytes_max) {
      more = true;
      break;
    }
    if (page.items > 0) page.json += ',';
    append_item(page.json, statement, options_.flag_names);
    last = {statement.integer(report_timestamp_ns), statement.integer(report_row_id)};
    ++page.items;
  }
  page.json += "],\"next\":";
  if (more) {
    append_json_string(page.json, encode_page_cursor(last, connection.cursor_key));
  } else {
    page.json += "null";
  }
  page.json += '}';
  return page;
}

}  // namespace

std::unique_ptr<ReportQuery> make_report_query(ReportQueryOptions options) {
  return std::make_unique<SqliteReportQuery>(std::move(options));
}

}  // namespace trialwire::storage::sqlite
