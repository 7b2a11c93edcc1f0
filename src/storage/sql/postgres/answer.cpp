// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/answer.hpp"

#include <libpq-fe.h>

#include <charconv>
#include <cstddef>

namespace trialwire::storage::postgres {

void Answer::Clear::operator()(pg_result* result) const noexcept {
  PQclear(result);
}

bool Answer::wants_copy() const noexcept {
  return PQresultStatus(get()) == PGRES_COPY_IN;
}
int Answer::rows() const noexcept {
  return PQntuples(get());
}
int Answer::columns() const noexcept {
  return PQnfields(get());
}
bool Answer::is_null(int row, int column) const noexcept {
  return PQgetisnull(get(), row, column) != 0;
}

std::string_view Answer::text(int row, int column) const noexcept {
  return {PQgetvalue(get(), row, column),
          static_cast<std::size_t>(PQgetlength(get(), row, column))};
}

std::int64_t Answer::integer(int row, int column) const noexcept {
  std::string_view digits = text(row, column);
  std::int64_t value = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

std::uint64_t Answer::affected() const noexcept {
  std::string_view digits = PQcmdTuples(get());
  std::uint64_t count = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return count;
}

std::string_view Answer::command() const noexcept {
  return PQcmdStatus(get());
}

}  // namespace trialwire::storage::postgres
