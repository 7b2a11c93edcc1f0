// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL server of a test's own: real, on a free port, in a directory that goes away, with
// fsync on. As root it runs under the account "postgres", since PostgreSQL refuses root. It is
// ended by the id of its process; no other server is looked for.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace trialwire::test {

class PostgresServer {
 public:
  /// Whether Debian's postgresql-15 is there.
  static bool installed();

  PostgresServer();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  void start();   // and waits until it answers
  void stop();    // orderly: transactions are rolled back, connections cut
  void kill();    // as `kill -9` does
  void freeze();  // it stays connected and says nothing
  void thaw();

  /// Creates an empty database; its URL.
  std::string new_database();
  std::string url(const std::string& database) const;

  int port() const noexcept { return port_; }
  const std::filesystem::path& directory() const noexcept { return directory_; }

 private:
  pid_t spawn(const std::vector<std::string>& command) const;
  void run(const std::vector<std::string>& command) const;

  std::filesystem::path directory_;
  int port_ = 0;
  pid_t process_ = 0;
  int databases_ = 0;
};

}  // namespace trialwire::test
