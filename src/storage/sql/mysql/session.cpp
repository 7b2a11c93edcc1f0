// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/session.hpp"

namespace trialwire::storage::mysql {

Patience MysqlSession::patience() const {
  return {.interrupt = limits_.interrupt,
          .deadline = std::chrono::steady_clock::now() + limits_.statement};
}

Result<void> MysqlSession::execute(const std::string& sql) {
  auto done = connection_.run(sql, "execute", patience());
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<std::vector<Session::Row>> MysqlSession::rows(const std::string& sql) {
  return connection_.rows(sql, "query", patience());
}

}  // namespace trialwire::storage::mysql
