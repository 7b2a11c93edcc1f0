// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <mysql.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "sink_floor.hpp"

namespace trialwire::floor {
namespace {

class Connection {
 public:
  explicit Connection(const MysqlAddress& to) : handle_(mysql_init(nullptr)) {
    if (mysql_real_connect(handle_, to.host.c_str(), to.user.c_str(), to.password.c_str(), nullptr,
                           to.port, nullptr, 0) == nullptr) {
      fail("connect");
    }
    mysql_set_character_set(handle_, "utf8mb4");
  }
  ~Connection() { mysql_close(handle_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[noreturn]] void fail(const char* what) const {
    fmt::print(stderr, "sink_floor: {}: {}\n", what, mysql_error(handle_));
    std::exit(1);
  }
  void execute(std::string_view sql) const {
    if (mysql_real_query(handle_, sql.data(), sql.size()) != 0) fail("execute");
  }
  MYSQL* handle() const { return handle_; }

 private:
  MYSQL* handle_;
};

/// Rows as the text that a multi-row INSERT has of them: "(1,'a',x'00')".
std::vector<std::string> read_rows(const Connection& server, const std::string& database,
                                   std::size_t rows_max) {
  server.execute(fmt::format("SELECT * FROM {}.epro_reports ORDER BY sequence", database));
  std::unique_ptr<MYSQL_RES, decltype(&mysql_free_result)> result(mysql_use_result(server.handle()),
                                                                  &mysql_free_result);
  const unsigned columns = mysql_num_fields(result.get());
  const MYSQL_FIELD* fields = mysql_fetch_fields(result.get());
  constexpr unsigned binary = 63;  // the character set of what is no text
  std::vector<std::string> rows;
  std::string escaped;
  while (MYSQL_ROW row = mysql_fetch_row(result.get())) {
    const unsigned long* lengths = mysql_fetch_lengths(result.get());
    std::string text = "(";
    for (unsigned i = 0; i < columns; ++i) {
      if (i > 0) text += ',';
      if (row[i] == nullptr) {
        text += "NULL";
      } else if (IS_NUM(fields[i].type)) {
        text.append(row[i], lengths[i]);
      } else {
        escaped.resize(2 * lengths[i] + 1);
        escaped.resize(
            mysql_real_escape_string(server.handle(), escaped.data(), row[i], lengths[i]));
        text += fields[i].charsetnr == binary ? "_binary'" : "'";
        text += escaped;
        text += '\'';
      }
    }
    text += ')';
    if (rows.size() < rows_max) rows.push_back(std::move(text));
  }
  return rows;
}

}  // namespace

Result mysql_floor(const MysqlAddress& address, const std::string& source,
                   const std::string& target, const Shape& shape) {
  const Connection server(address);
  const std::vector<std::string> rows = read_rows(server, source, shape.rows_max);
  server.execute("SET autocommit=0");
  std::string sql;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t first = 0; first < rows.size(); first += shape.transaction_rows) {
    const std::size_t end = std::min(first + shape.transaction_rows, rows.size());
    for (std::size_t at = first; at < end; at += shape.statement_rows) {
      sql = fmt::format("INSERT INTO {}.epro_reports VALUES ", target);
      for (std::size_t i = at; i < std::min(at + shape.statement_rows, end); ++i) {
        if (i > at) sql += ',';
        sql += rows[i];
      }
      server.execute(sql);
    }
    server.execute("COMMIT");
  }
  return {.rows = rows.size(), .seconds = since(start)};
}

}  // namespace trialwire::floor
