// SPDX-License-Identifier: Apache-2.0
// A connection to a MySQL or MariaDB server over libmariadb, with errors as values. Owned by one
// thread at a time; no call takes longer than its Patience, but for the resolver of host names,
// which is waited for as long as the system's own settings say.
//
// The session is set up so that nothing is stored that was not meant: strict mode, utf8mb4, no
// backslash escapes (in a text only ' is special, written twice), READ COMMITTED, times in UTC; the
// server must confirm it. Autocommit outside of START TRANSACTION … COMMIT.
// Failure: every error is classified by its number (error_number.hpp). Its text names the server
// and what was tried, never the server's own message, which may hold values of a row, and never a
// password. After an error of the connection or of its Patience it is `broken`: drop it. Nothing is
// connected again behind the caller's back.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "storage/sql/dialect.hpp"
#include "storage/sql/interrupt.hpp"
#include "storage/sql/mysql/server_address.hpp"

namespace trialwire::storage::mysql {

struct ConnectionOptions {
  ServerAddress address;
  std::string program_name = "trialwire";  // as the server's list of connections shows it
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::seconds lock_wait_timeout{10};  // for a row that another transaction holds
  // MariaDB ends a transaction whose program says nothing for so long: a frozen one, whose work
  // another has taken over, must not keep its locks.
  std::chrono::seconds transaction_idle_timeout{15};
  bool read_only = false;
};

/// What the server said of itself when the session began.
struct ServerFacts {
  Dialect dialect = Dialect::mariadb;
  std::uint64_t connection_id = 0;
  std::size_t packet_bytes_max = 0;  // the longest statement
  bool commits_are_synced = false;   // a COMMIT is on disk when it is answered
  bool takes_arrays = false;         // a statement may be executed for arrays of values (MariaDB)
};

struct Link;      // the handle of a connection, and what a statement of it needs
class Statement;  // statement.hpp

class Connection {
 public:
  using Row = std::vector<std::optional<std::string>>;

  /// Errors: unauthenticated (user, password), forbidden, not_found (no such database), unavailable
  /// (no such host, refused, TLS, a session that does not take its settings), overloaded,
  /// deadline_exceeded, cancelled.
  static Result<Connection> connect(const ConnectionOptions& options, const Patience& patience);
  Connection(Connection&&) noexcept;
  Connection& operator=(Connection&&) noexcept;
  ~Connection();

  /// "127.0.0.1:3306/trialwire", for messages.
  const std::string& name() const noexcept;
  const ServerFacts& facts() const noexcept;

  /// One statement; how many rows it changed. `doing` is for the error's text: "insert into
  /// epro_reports".
  Result<std::uint64_t> run(std::string_view sql, std::string_view doing, const Patience& patience);
  /// All rows of a small result.
  Result<std::vector<Row>> rows(std::string_view sql, std::string_view doing,
                                const Patience& patience);
  /// Must die before the connection.
  Result<Statement> prepare(std::string_view sql, const Patience& patience);

  /// Of the last call that failed; 0: it was not refused by server or client library.
  unsigned error_number() const noexcept;
  bool broken() const noexcept;

 private:
  explicit Connection(std::unique_ptr<Link> link) noexcept;
  Result<void> set_up(const ConnectionOptions& options, const Patience& patience);

  std::unique_ptr<Link> link_;
  ServerFacts facts_;
};

/// Ends a connection, and what it is doing, on the server, over another one. What fails is not
/// heard of: the server then notices by itself that its client has gone.
void kill_connection(const ConnectionOptions& options, std::uint64_t connection_id) noexcept;

}  // namespace trialwire::storage::mysql
