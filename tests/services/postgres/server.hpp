// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL server of a test's own, with fsync on. As root it runs under the account "postgres",
// since PostgreSQL refuses root.
#pragma once
#include <string>

#include "services/server_process.hpp"

namespace trialwire::test {

class PostgresServer {
 public:
  /// Whether Debian's postgresql-15 is there.
  static bool installed();

  PostgresServer();

  void start();  // and waits until it answers
  void stop();   // orderly: transactions are rolled back, connections cut
  void kill();   // as `kill -9` of all its processes does
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

  /// Creates an empty database; its URL.
  std::string new_database();
  std::string url(const std::string& database, const std::string& user = "trialwire") const;

 private:
  ServerProcess process_;
  int databases_ = 0;
};

}  // namespace trialwire::test
