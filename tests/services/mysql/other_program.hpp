// SPDX-License-Identifier: Apache-2.0
// Another program's eyes and hands on a MySQL database: a connection that knows nothing of ours.
#pragma once
#include <mysql.h>

#include <string>

#include "storage/sql/mysql/server_address.hpp"

namespace trialwire::test {

class OtherProgram {
 public:
  explicit OtherProgram(const std::string& url) : handle_(mysql_init(nullptr)) {
    auto address = storage::mysql::parse_server_address(url).value();
    const unsigned protocol = MYSQL_PROTOCOL_TCP;
    mysql_options(handle_, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_options(handle_, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_real_connect(handle_, address.host.c_str(), address.user.c_str(),
                       address.password.c_str(), address.database.c_str(), address.port, nullptr,
                       0);
  }
  ~OtherProgram() { mysql_close(handle_); }
  OtherProgram(const OtherProgram&) = delete;
  OtherProgram& operator=(const OtherProgram&) = delete;

  /// The first column of the first row as text; "NULL" for NULL, "" for no row; else the error.
  std::string value(const std::string& sql) {
    if (mysql_real_query(handle_, sql.data(), sql.size()) != 0) return mysql_error(handle_);
    MYSQL_RES* result = mysql_store_result(handle_);
    if (result == nullptr) return mysql_errno(handle_) == 0 ? "" : mysql_error(handle_);
    std::string text;
    if (MYSQL_ROW row = mysql_fetch_row(result)) {
      text = row[0] == nullptr ? "NULL" : std::string(row[0], mysql_fetch_lengths(result)[0]);
    }
    mysql_free_result(result);
    return text;
  }

  /// Ends the product's connections in this database, but for this one.
  void cut_others() {
    std::string id = value(others);
    while (!id.empty()) {
      value("KILL CONNECTION " + id);
      std::string next = value(others);
      if (next == id) break;  // on its way
      id = next;
    }
  }

 private:
  static constexpr const char* others =
      "SELECT id FROM information_schema.processlist WHERE db = DATABASE() "
      "AND id <> CONNECTION_ID() AND command <> 'Killed' ORDER BY id LIMIT 1";
  MYSQL* handle_;
};

}  // namespace trialwire::test
