// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/connection.hpp"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <utility>

#include <fmt/format.h>

#include "storage/sql/mysql/link.hpp"
#include "storage/sql/mysql/statement.hpp"

namespace trialwire::storage::mysql {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Non-blocking calls run on a stack of their own; TLS and the resolver need more than the default.
constexpr std::size_t call_stack_bytes = 512 << 10;
constexpr unsigned write_timeout_seconds = 5;  // of the library's good-bye

constexpr std::string_view session_mode =
    "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_BACKSLASH_ESCAPES";

// A server that is not known to be the right one must not be able to ask for the password itself.
constexpr const char* plugins_without_plain_password =
    "mysql_native_password,client_ed25519,caching_sha2_password,sha256_password";

/// Its tables of character sets are set up by the first call, which must be alone.
bool library_ready() {
  static const bool ready = mysql_server_init(0, nullptr, nullptr) == 0;
  return ready;
}

Patience within(const Patience& patience, milliseconds limit) {
  return {.interrupt = patience.interrupt,
          .deadline = std::min(patience.deadline, Clock::now() + limit)};
}

const char* text_or_null(const std::string& text) noexcept {
  return text.empty() ? nullptr : text.c_str();
}

/// Everything that the library could otherwise take from elsewhere is said.
void set_options(MYSQL* handle, const ConnectionOptions& options) {
  const ServerAddress& address = options.address;
  const my_bool yes = 1;
  const unsigned no_files = 0;  // a server could ask for any of ours
  const unsigned protocol = address.socket.empty() ? MYSQL_PROTOCOL_TCP : MYSQL_PROTOCOL_SOCKET;
  const auto connect_seconds =
      static_cast<unsigned>(std::max<std::int64_t>(1, options.connect_timeout.count() / 1'000));
  mysql_options(handle, MYSQL_OPT_NONBLOCK, &call_stack_bytes);
  mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &no_files);
  mysql_options(handle, MYSQL_OPT_PROTOCOL, &protocol);
  mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &connect_seconds);
  mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &write_timeout_seconds);
  mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
  mysql_optionsv(handle, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", options.program_name.c_str());
  if (address.encryption != Encryption::verify) {
    mysql_options(handle, MARIADB_OPT_RESTRICTED_AUTH, plugins_without_plain_password);
  }
  if (address.encryption == Encryption::off) return;
  mysql_ssl_set(handle, text_or_null(address.key_file), text_or_null(address.certificate_file),
                text_or_null(address.ca_file), nullptr, nullptr);
  mysql_options(handle, MYSQL_OPT_SSL_ENFORCE, &yes);
  if (address.encryption == Encryption::verify) {
    mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
  }
}

bool log_in(Link& link, const ServerAddress& address, const Patience& patience) {
  MYSQL* connected = nullptr;
  link.drive(
      patience,
      [&] {
        return mysql_real_connect_start(&connected, link.handle, text_or_null(address.host),
                                        address.user.c_str(), address.password.c_str(),
                                        address.database.c_str(), address.port,
                                        text_or_null(address.socket), CLIENT_REMEMBER_OPTIONS);
      },
      [&](int events) { return mysql_real_connect_cont(&connected, link.handle, events); });
  return connected != nullptr && link.ended == Link::Ended::no;
}

std::uint64_t number_in(const Connection::Row& row, std::size_t column) {
  std::uint64_t value = 0;
  if (column < row.size() && row[column]) {
    std::from_chars(row[column]->data(), row[column]->data() + row[column]->size(), value);
  }
  return value;
}

std::string text_in(const Connection::Row& row, std::size_t column) {
  return column < row.size() ? row[column].value_or("") : "";
}

bool takes_arrays(MYSQL* handle) noexcept {
  unsigned capabilities = 0;
  mariadb_get_infov(handle, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &capabilities);
  return (capabilities & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}

/// Rows of a result that the library holds whole.
std::vector<Connection::Row> copy_rows(MYSQL_RES* result) {
  std::vector<Connection::Row> rows;
  const unsigned columns = mysql_num_fields(result);
  while (MYSQL_ROW fields = mysql_fetch_row(result)) {
    const unsigned long* lengths = mysql_fetch_lengths(result);
    Connection::Row& row = rows.emplace_back();
    for (unsigned i = 0; i < columns; ++i) {
      row.emplace_back();
      if (fields[i] != nullptr) row.back().emplace(fields[i], lengths[i]);
    }
  }
  return rows;
}

}  // namespace

Connection::Connection(std::unique_ptr<Link> link) noexcept : link_(std::move(link)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection& Connection::operator=(Connection&&) noexcept = default;
Connection::~Connection() = default;

const std::string& Connection::name() const noexcept {
  return link_->name;
}

const ServerFacts& Connection::facts() const noexcept {
  return facts_;
}

unsigned Connection::error_number() const noexcept {
  return link_->number;
}

bool Connection::broken() const noexcept {
  return link_->broken;
}

Result<Connection> Connection::connect(const ConnectionOptions& options, const Patience& patience) {
  auto link = std::make_unique<Link>(options.address.text());
  if (!library_ready() || link->handle == nullptr) {
    return fail(ErrorCode::overloaded, "mysql: the client library is out of memory");
  }
  const Patience connecting = within(patience, options.connect_timeout);
  set_options(link->handle, options);
  if (!log_in(*link, options.address, connecting)) {
    link->broken = true;
    return std::unexpected(link->error("connect"));
  }
  // The library goes on without encryption where the server has none.
  if (options.address.encryption != Encryption::off &&
      mysql_get_ssl_cipher(link->handle) == nullptr) {
    return fail(
        ErrorCode::unavailable,
        fmt::format("mysql {}: connect: the server has no TLS, and ssl wants it", link->name));
  }
  Connection connection(std::move(link));
  if (auto done = connection.set_up(options, connecting); !done) {
    return std::unexpected(done.error());
  }
  return connection;
}

Result<void> Connection::set_up(const ConnectionOptions& options, const Patience& patience) {
  const std::string settings = fmt::format(
      "SET SESSION sql_mode = '{}', SESSION time_zone = '+00:00', SESSION autocommit = 1, "
      "SESSION innodb_lock_wait_timeout = {}",
      session_mode, options.lock_wait_timeout.count());
  const std::string transactions =
      fmt::format("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, {}",
                  options.read_only ? "READ ONLY" : "READ WRITE");
  std::vector<std::string> statements{settings, transactions};
  if (mariadb_connection(link_->handle) != 0) {
    // MySQL has no such thing.
    statements.push_back(fmt::format("SET SESSION idle_transaction_timeout = {}",
                                     options.transaction_idle_timeout.count()));
  }
  for (const std::string& sql : statements) {
    if (auto done = run(sql, "set up its session", patience); !done) {
      return std::unexpected(done.error());
    }
  }
  auto facts = rows(
      "SELECT CONNECTION_ID(), @@max_allowed_packet, @@innodb_flush_log_at_trx_commit, @@log_bin, "
      "@@sync_binlog, @@character_set_connection, "
      "FIND_IN_SET('NO_BACKSLASH_ESCAPES', @@sql_mode) > 0 "
      "AND FIND_IN_SET('STRICT_ALL_TABLES', @@sql_mode) > 0",
      "ask for its settings", patience);
  if (!facts) return std::unexpected(facts.error());
  const Row row = facts->empty() ? Row{} : facts->front();
  facts_.dialect = mariadb_connection(link_->handle) != 0 ? Dialect::mariadb : Dialect::mysql;
  facts_.connection_id = number_in(row, 0);
  facts_.packet_bytes_max = number_in(row, 1);
  facts_.takes_arrays = takes_arrays(link_->handle);
  bool binary_log_is_synced = number_in(row, 3) == 0 || number_in(row, 4) == 1;
  facts_.commits_are_synced = number_in(row, 2) == 1 && binary_log_is_synced;
  if (text_in(row, 5) == "utf8mb4" && number_in(row, 6) == 1) return {};
  return fail(ErrorCode::unavailable,
              fmt::format("mysql {}: the session does not take its settings (sql_mode, utf8mb4); "
                          "is there a proxy in between?",
                          name()));
}

Result<std::uint64_t> Connection::run(std::string_view sql, std::string_view doing,
                                      const Patience& patience) {
  MYSQL* handle = link_->handle;
  int failed = 0;
  link_->drive(
      patience, [&] { return mysql_real_query_start(&failed, handle, sql.data(), sql.size()); },
      [&](int events) { return mysql_real_query_cont(&failed, handle, events); });
  if (failed != 0 || link_->ended != Link::Ended::no) return std::unexpected(link_->error(doing));
  const std::uint64_t changed = mysql_affected_rows(handle);
  if (mysql_field_count(handle) == 0) return changed;
  auto read = rows("", doing, patience);  // it has some, which nobody wants
  if (!read) return std::unexpected(read.error());
  return 0;
}

Result<std::vector<Connection::Row>> Connection::rows(std::string_view sql, std::string_view doing,
                                                      const Patience& patience) {
  MYSQL* handle = link_->handle;
  if (!sql.empty()) {
    int failed = 0;
    link_->drive(
        patience, [&] { return mysql_real_query_start(&failed, handle, sql.data(), sql.size()); },
        [&](int events) { return mysql_real_query_cont(&failed, handle, events); });
    if (failed != 0 || link_->ended != Link::Ended::no) {
      return std::unexpected(link_->error(doing));
    }
  }
  if (mysql_field_count(handle) == 0) return std::vector<Row>{};
  MYSQL_RES* stored = nullptr;
  link_->drive(
      patience, [&] { return mysql_store_result_start(&stored, handle); },
      [&](int events) { return mysql_store_result_cont(&stored, handle, events); });
  std::unique_ptr<MYSQL_RES, decltype([](MYSQL_RES* result) { mysql_free_result(result); })> result(
      stored);
  if (!result || link_->ended != Link::Ended::no) return std::unexpected(link_->error(doing));
  return copy_rows(result.get());
}

Result<Statement> Connection::prepare(std::string_view sql, const Patience& patience) {
  MYSQL_STMT* handle = mysql_stmt_init(link_->handle);
  if (handle == nullptr) return std::unexpected(link_->error("prepare a statement"));
  Statement statement(*link_, handle);
  int failed = 0;
  link_->drive(
      patience, [&] { return mysql_stmt_prepare_start(&failed, handle, sql.data(), sql.size()); },
      [&](int events) { return mysql_stmt_prepare_cont(&failed, handle, events); });
  if (failed == 0 && link_->ended == Link::Ended::no) return statement;
  return std::unexpected(
      link_->error("prepare a statement", mysql_stmt_errno(handle), mysql_stmt_sqlstate(handle)));
}

void kill_connection(const ConnectionOptions& options, std::uint64_t connection_id) noexcept {
  auto connection = Connection::connect(options, {});
  if (!connection) return;
  static_cast<void>(connection->run(fmt::format("KILL CONNECTION {}", connection_id), "kill",
                                    {.deadline = Clock::now() + options.connect_timeout}));
}

}  // namespace trialwire::storage::mysql
