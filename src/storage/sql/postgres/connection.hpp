// SPDX-License-Identifier: Apache-2.0
// A connection to a PostgreSQL server over libpq, with errors as values. Owned by one thread at a
// time; no call blocks longer than its Patience, but for the resolver of host names, which libpq
// waits for as long as the system's own settings say.
//
// A statement is given up by dropping its connection. libpq's PQcancel would keep it, but waits
// without a limit for a server that takes the request and does not answer.
//
// Failure: every error is classified by its SQLSTATE (sqlstate.hpp). Its text names the server,
// what was tried, the condition, and the table, column or constraint it is about; never the
// server's own message, which may hold values of a row, and never a password. After an error of the
// connection or of its Patience the connection is of no use: drop it. Durable when: a COMMIT
// answered without error is (synchronous_commit is never off here). Where the connection breaks
// before that answer the outcome is not known.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "storage/sql/interrupt.hpp"
#include "storage/sql/postgres/answer.hpp"

struct pg_conn;

namespace trialwire::storage::postgres {

struct ConnectionOptions {
  std::string url;  // postgres://user:password@host:port/database?sslmode=…
  std::string application_name = "trialwire";
  std::chrono::milliseconds connect_timeout{10'000};
  // Of each statement, kept by the server; a transaction that waits for us that long ends too.
  std::chrono::milliseconds statement_timeout{60'000};
  // A peer that acknowledges nothing for so long is gone (TCP keepalive and user timeout).
  std::chrono::milliseconds silence_timeout{30'000};
  // So soon after a connection was dropped the server ends what runs on it (PostgreSQL 14 and
  // newer; before, the statement's timeout does).
  std::chrono::milliseconds abandoned_after{1'000};
  std::string settings;  // further statements of the session's start: "SET …; SET …"
};

/// Text of a parameter; null: NULL. Types are what the statement makes of them.
using Parameters = std::vector<const char*>;

class Connection {
 public:
  /// Errors: unauthenticated (password), forbidden, not_found (no such database), not_implemented
  /// (older than PostgreSQL 13, another encoding than UTF-8), unavailable (no such host, refused),
  /// deadline_exceeded, cancelled, otherwise as sqlstate.hpp says; an invalid URL is `internal`:
  /// settings are checked before.
  static Result<Connection> connect(const ConnectionOptions& options, const Patience& patience);

  /// "host:port/database", for messages.
  const std::string& name() const noexcept { return name_; }

  // One exchange: a text of one or more statements, then `next` for each answer until there is
  // none. An error of a statement ends the exchange on the server; `drain` reads up to its end.
  Result<void> send(const std::string& sql);
  /// One prepared statement; its rows come one by one.
  Result<void> send_prepared(const char* statement, const Parameters& parameters);
  /// `wants_copy`: write rows with `copy`, then `end_copy` or `refuse_copy`, then go on.
  Result<Answer> next(std::string_view doing, const Patience& patience);
  /// To the end of the exchange, whatever its answers are.
  void drain(const Patience& patience);

  Result<void> copy(ByteView rows, const Patience& patience);
  Result<void> end_copy(const Patience& patience);
  /// The statement fails with query_canceled.
  void refuse_copy(const Patience& patience);

  /// Runs it to its end; the last answer. The first error wins.
  Result<Answer> run(const std::string& sql, std::string_view doing, const Patience& patience);
  Result<void> prepare(const char* statement, const std::string& sql, const Patience& patience);

  /// Of the last statement that failed; empty when it was the connection.
  std::string_view sqlstate() const noexcept { return sqlstate_; }
  bool idle() const noexcept;  // connected, and nothing runs
  bool broken() const noexcept;

 private:
  struct Finish {
    void operator()(pg_conn* connection) const noexcept;
  };
  Connection() = default;
  Result<void> open(const ConnectionOptions& options, const Patience& patience);
  Result<void> set_up(const ConnectionOptions& options, const Patience& patience);
  Result<void> wait(short events, std::string_view doing, const Patience& patience) const;
  Result<void> flush(std::string_view doing, const Patience& patience);
  Error error_of(const Answer& answer, std::string_view doing);
  Error lost(std::string_view doing);
  Error connect_error();

  std::unique_ptr<pg_conn, Finish> connection_;
  std::string name_;
  std::string sqlstate_;
};

/// What a URL leads to, without its secrets. Errors: invalid_argument, which never repeats it.
Result<std::string> connection_name(const std::string& url);

}  // namespace trialwire::storage::postgres
