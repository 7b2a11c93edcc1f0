// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/connection.hpp"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "storage/sql/postgres/sqlstate.hpp"

namespace trialwire::storage::postgres {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// For poll(): -1 is for ever.
int timeout_ms(Clock::time_point deadline) {
  if (deadline == Clock::time_point::max()) return -1;
  auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, std::numeric_limits<int>::max()));
}

}  // namespace

void Connection::Finish::operator()(pg_conn* connection) const noexcept {
  PQfinish(connection);
}

/// `events`: of the socket. Also returns when the socket failed, which the next call of libpq
/// finds.
Result<void> Connection::wait(short events, std::string_view doing,
                              const Patience& patience) const {
  auto given_up = [&](ErrorCode code, std::string_view why) {
    return fail(code, fmt::format("postgres {}: cannot {}: {}", name_, doing, why));
  };
  std::array<pollfd, 2> asked{{
      {.fd = PQsocket(connection_.get()), .events = events, .revents = 0},
      {.fd = patience.interrupt == nullptr ? -1 : patience.interrupt->descriptor(),
       .events = POLLIN,
       .revents = 0},
  }};
  while (true) {
    int ready = ::poll(asked.data(), asked.size(), timeout_ms(patience.deadline));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return std::unexpected(errno_error("poll", errno));
    if (asked[1].revents != 0) return given_up(ErrorCode::cancelled, "it was given up");
    if (ready == 0) return given_up(ErrorCode::deadline_exceeded, "no answer in time");
    return {};
  }
}

Result<void> Connection::flush(std::string_view doing, const Patience& patience) {
  while (true) {
    int left = PQflush(connection_.get());
    if (left == 0) return {};
    if (left < 0) return std::unexpected(lost(doing));
    // The server may be unable to read on before what it wrote is read.
    if (auto ready = wait(POLLIN | POLLOUT, doing, patience); !ready) return ready;
    if (PQconsumeInput(connection_.get()) == 0) return std::unexpected(lost(doing));
  }
}

Result<void> Connection::send(const std::string& sql) {
  sqlstate_.clear();
  if (PQsendQuery(connection_.get(), sql.c_str()) == 0) return std::unexpected(lost("send"));
  return {};
}

Result<void> Connection::send_prepared(const char* statement, const Parameters& parameters) {
  sqlstate_.clear();
  if (PQsendQueryPrepared(connection_.get(), statement, static_cast<int>(parameters.size()),
                          parameters.data(), nullptr, nullptr, 0) == 0) {
    return std::unexpected(lost("send"));
  }
  PQsetSingleRowMode(connection_.get());
  return {};
}

Result<Answer> Connection::next(std::string_view doing, const Patience& patience) {
  if (auto sent = flush(doing, patience); !sent) return std::unexpected(sent.error());
  while (PQisBusy(connection_.get()) != 0) {
    if (auto ready = wait(POLLIN, doing, patience); !ready) {
      return std::unexpected(ready.error());
    }
    if (PQconsumeInput(connection_.get()) == 0) return std::unexpected(lost(doing));
  }
  Answer answer(PQgetResult(connection_.get()));
  if (answer.get() == nullptr) return answer;
  switch (PQresultStatus(answer.get())) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_COPY_IN:
    case PGRES_EMPTY_QUERY:
      return answer;
    default:
      return std::unexpected(error_of(answer, doing));
  }
}

void Connection::drain(const Patience& patience) {
  while (true) {
    sqlstate_.clear();
    auto answer = next("end the exchange", patience);
    if (answer && answer->get() == nullptr) return;
    if (answer && answer->wants_copy()) refuse_copy(patience);
    if (!answer && sqlstate_.empty()) return;  // not the server's error: nothing more to read
  }
}

Result<void> Connection::copy(ByteView rows, const Patience& patience) {
  int taken = PQputCopyData(connection_.get(), reinterpret_cast<const char*>(rows.data()),
                            static_cast<int>(rows.size()));
  if (taken < 0) return std::unexpected(lost("copy rows"));
  // Without blocking it takes all, or there is no memory.
  if (taken == 0) return fail(ErrorCode::overloaded, "out of memory");
  // Nothing is kept in libpq's buffer: it would grow with what the server does not take.
  return flush("copy rows", patience);
}

Result<void> Connection::end_copy(const Patience& patience) {
  if (PQputCopyEnd(connection_.get(), nullptr) <= 0) return std::unexpected(lost("copy rows"));
  return flush("copy rows", patience);
}

void Connection::refuse_copy(const Patience& patience) {
  if (PQputCopyEnd(connection_.get(), "not delivered") > 0)
    static_cast<void>(flush("copy rows", patience));
}

Result<Answer> Connection::run(const std::string& sql, std::string_view doing,
                               const Patience& patience) {
  if (auto sent = send(sql); !sent) return std::unexpected(sent.error());
  Answer last(nullptr);
  while (true) {
    auto answer = next(doing, patience);
    if (!answer) {
      std::string state = sqlstate_;
      if (!state.empty()) drain(patience);
      sqlstate_ = std::move(state);
      return answer;
    }
    if (answer->get() == nullptr) return last;
    last = std::move(*answer);
  }
}

Result<void> Connection::prepare(const char* statement, const std::string& sql,
                                 const Patience& patience) {
  sqlstate_.clear();
  if (PQsendPrepare(connection_.get(), statement, sql.c_str(), 0, nullptr) == 0) {
    return std::unexpected(lost("prepare"));
  }
  auto answer = next("prepare a statement", patience);
  if (!answer) {
    std::string state = sqlstate_;
    if (!state.empty()) drain(patience);
    sqlstate_ = std::move(state);
    return std::unexpected(answer.error());
  }
  drain(patience);
  return {};
}

bool Connection::idle() const noexcept {
  return PQtransactionStatus(connection_.get()) == PQTRANS_IDLE;
}

bool Connection::broken() const noexcept {
  return PQstatus(connection_.get()) == CONNECTION_BAD;
}

Error Connection::lost(std::string_view doing) {
  sqlstate_.clear();
  return {ErrorCode::unavailable,
          fmt::format("postgres {}: cannot {}: the connection was lost", name_, doing)};
}

Error Connection::error_of(const Answer& answer, std::string_view doing) {
  auto field = [&](int code) {
    const char* value = PQresultErrorField(answer.get(), code);
    return std::string_view(value == nullptr ? "" : value);
  };
  sqlstate_ = field(PG_DIAG_SQLSTATE);
  if (sqlstate_.empty()) return lost(doing);
  std::string text = fmt::format("postgres {}: cannot {}: {} (SQLSTATE {})", name_, doing,
                                 condition_name(sqlstate_), sqlstate_);
  auto about = [&](std::string_view what, int code) {
    if (auto name = field(code); !name.empty()) text += fmt::format(", {} {}", what, name);
  };
  about("table", PG_DIAG_TABLE_NAME);
  about("column", PG_DIAG_COLUMN_NAME);
  about("constraint", PG_DIAG_CONSTRAINT_NAME);
  return {error_code(sqlstate_), std::move(text)};
}

}  // namespace trialwire::storage::postgres
