// SPDX-License-Identifier: Apache-2.0
// A MariaDB server of a test's own: real, on a free port, in a directory that goes away, with fsync
// on. As root it runs under its package's account, or as nobody. It is ended by the id of its
// process; no other server is looked for.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace trialwire::test {

class MariadbServer {
 public:
  /// Whether Debian's mariadb-server-core is there.
  static bool installed();

  MariadbServer();
  ~MariadbServer();
  MariadbServer(const MariadbServer&) = delete;
  MariadbServer& operator=(const MariadbServer&) = delete;

  void start(const std::vector<std::string>& options = {});  // and waits until it answers
  void stop();                                               // orderly
  void kill();                                               // as `kill -9` does
  void freeze();                                             // stays connected, says nothing
  void thaw();

  /// Creates an empty database; its URL. The user may do everything.
  std::string new_database();
  std::string url(const std::string& database) const;

  /// Makes a key and a certificate of its own for "localhost", as Debian's openssl does.
  void make_certificate(const std::string& key, const std::string& certificate);
  std::filesystem::path file(const std::string& name) const { return directory_ / name; }

 private:
  pid_t spawn(const std::vector<std::string>& command) const;
  void run(const std::vector<std::string>& command) const;
  bool answers() const;

  std::filesystem::path directory_;
  int port_ = 0;
  pid_t process_ = 0;
  int databases_ = 0;
};

}  // namespace trialwire::test
