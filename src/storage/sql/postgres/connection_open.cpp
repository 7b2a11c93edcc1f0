// SPDX-License-Identifier: Apache-2.0
// How a connection comes to be: its URL, the session's settings, and what it is that failed.
#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "storage/sql/postgres/connection.hpp"
#include "storage/sql/postgres/sqlstate.hpp"

namespace trialwire::storage::postgres {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view url_form = "postgres://user:password@host:port/database?sslmode=require";
constexpr int version_min = 130'000;            // has gen_random_uuid, force_custom_plan
constexpr int finds_us_gone_version = 140'000;  // has client_connection_check_interval

struct FreeOptions {
  void operator()(PQconninfoOption* options) const noexcept { PQconninfoFree(options); }
};
using ConnectionInfo = std::unique_ptr<PQconninfoOption, FreeOptions>;

ConnectionInfo parse(const std::string& url) {
  bool named = url.starts_with("postgres://") || url.starts_with("postgresql://");
  if (!named || url.find('\0') != std::string::npos) return nullptr;
  char* message = nullptr;  // may repeat parts of the password
  ConnectionInfo info(PQconninfoParse(url.c_str(), &message));
  PQfreemem(message);
  return info;
}

std::string_view option(const ConnectionInfo& info, std::string_view keyword) {
  for (const PQconninfoOption* at = info.get(); at->keyword != nullptr; ++at) {
    if (keyword == at->keyword && at->val != nullptr) return at->val;
  }
  return {};
}

std::string name_of(const ConnectionInfo& info) {
  auto or_else = [](std::string_view text, std::string_view otherwise) {
    return text.empty() ? otherwise : text;
  };
  std::string_view host = or_else(option(info, "host"), option(info, "hostaddr"));
  std::string_view database = or_else(option(info, "dbname"), option(info, "user"));
  return fmt::format("{}:{}/{}", or_else(host, "local socket"),
                     or_else(option(info, "port"), "5432"), database);
}

bool is_sqlstate(std::string_view text) {
  return text.size() == 5 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

/// Of a connection that the server refused, in libpq's words at the verbosity asked for below:
/// "connection to server at … failed: FATAL:  28P01". There is no other place that has it.
std::string_view refused_with(std::string_view message) {
  while (message.ends_with('\n')) message.remove_suffix(1);
  constexpr std::string_view before = ":  ";
  if (message.size() < 5 + before.size()) return {};
  std::string_view last = message.substr(message.size() - 5);
  message.remove_suffix(5);
  return message.ends_with(before) && is_sqlstate(last) ? last : std::string_view();
}

std::string one_line(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  std::string line(text);
  std::ranges::replace_if(line, [](char c) { return c == '\n' || c == '\t'; }, ' ');
  return line;
}

std::string session_settings(const ConnectionOptions& options, int server_version) {
  auto statement = options.statement_timeout.count();
  // A commit that is answered must be durable. What else an operator chose (remote_apply, local)
  // stays.
  std::string sql = fmt::format(
      "SET statement_timeout = {0}; SET idle_in_transaction_session_timeout = {0}; SET jit = off; "
      "SELECT set_config('synchronous_commit', 'on', false) "
      "WHERE current_setting('synchronous_commit') = 'off'",
      statement);
  if (server_version >= finds_us_gone_version) {
    sql +=
        fmt::format("; SET client_connection_check_interval = {}", options.abandoned_after.count());
  }
  if (!options.settings.empty()) sql += "; " + options.settings;
  return sql;
}

}  // namespace

Result<std::string> connection_name(const std::string& url) {
  ConnectionInfo info = parse(url);
  if (!info) {
    return fail(ErrorCode::invalid_argument, fmt::format("is not of the form {}", url_form));
  }
  return name_of(info);
}

Result<Connection> Connection::connect(const ConnectionOptions& options, const Patience& patience) {
  auto name = connection_name(options.url);
  if (!name) return fail(ErrorCode::internal, "the database's URL " + name.error().text);
  Connection connection;
  connection.name_ = std::move(*name);
  Patience limited = patience;
  limited.deadline = std::min(patience.deadline, Clock::now() + options.connect_timeout);
  if (auto opened = connection.open(options, limited); !opened) {
    return std::unexpected(opened.error());
  }
  if (auto ready = connection.set_up(options, limited); !ready) {
    return std::unexpected(ready.error());
  }
  return connection;
}

Result<void> Connection::open(const ConnectionOptions& options, const Patience& patience) {
  std::string silence_ms = std::to_string(options.silence_timeout.count());
  std::string idle_s = std::to_string(std::max<std::int64_t>(
      1, std::chrono::ceil<std::chrono::seconds>(options.silence_timeout).count() / 2));
  std::string between_s = std::to_string(std::max<std::int64_t>(
      1, std::chrono::ceil<std::chrono::seconds>(options.silence_timeout).count() / 6));
  // Later ones win: the URL over the defaults before it, what must be so over the URL.
  std::array<const char*, 9> keywords{"keepalives_idle",  "keepalives_interval", "keepalives_count",
                                      "tcp_user_timeout", "application_name",    "dbname",
                                      "client_encoding",  "replication",         nullptr};
  std::array<const char*, 9> values{idle_s.c_str(),
                                    between_s.c_str(),
                                    "3",
                                    silence_ms.c_str(),
                                    options.application_name.c_str(),
                                    options.url.c_str(),
                                    "UTF8",
                                    "false",
                                    nullptr};
  connection_.reset(PQconnectStartParams(keywords.data(), values.data(), 1));
  if (!connection_) return fail(ErrorCode::overloaded, "out of memory");
  if (broken()) return std::unexpected(connect_error());
  PQsetErrorVerbosity(connection_.get(), PQERRORS_SQLSTATE);
  PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK) {
    if (status == PGRES_POLLING_FAILED) return std::unexpected(connect_error());
    short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (auto ready = wait(events, "connect", patience); !ready) return ready;
    status = PQconnectPoll(connection_.get());
  }
  PQsetnonblocking(connection_.get(), 1);
  return {};
}

Result<void> Connection::set_up(const ConnectionOptions& options, const Patience& patience) {
  if (int version = PQserverVersion(connection_.get()); version < version_min) {
    return fail(ErrorCode::not_implemented,
                fmt::format("postgres {}: is PostgreSQL {}, {} is the oldest that will do", name_,
                            version / 10'000, version_min / 10'000));
  }
  const char* encoding = PQparameterStatus(connection_.get(), "server_encoding");
  if (encoding == nullptr || std::string_view(encoding) != "UTF8") {
    return fail(ErrorCode::not_implemented,
                fmt::format("postgres {}: the database's encoding is {}, it must be UTF8", name_,
                            encoding == nullptr ? "unknown" : encoding));
  }
  auto done = run(session_settings(options, PQserverVersion(connection_.get())),
                  "set the session up", patience);
  if (!done) return std::unexpected(done.error());
  return {};
}

/// libpq's own words are of addresses, names and TLS; the server's are left out by the verbosity.
Error Connection::connect_error() {
  std::string_view message = PQerrorMessage(connection_.get());
  sqlstate_ = refused_with(message);
  if (sqlstate_.empty()) {
    return {ErrorCode::unavailable,
            fmt::format("postgres {}: cannot connect: {}", name_, one_line(message))};
  }
  return {error_code(sqlstate_), fmt::format("postgres {}: cannot connect: {} (SQLSTATE {})", name_,
                                             condition_name(sqlstate_), sqlstate_)};
}

}  // namespace trialwire::storage::postgres
