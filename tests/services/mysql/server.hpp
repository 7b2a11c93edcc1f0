// SPDX-License-Identifier: Apache-2.0
// A MariaDB server of a test's own, with fsync on.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "services/server_process.hpp"

namespace trialwire::test {

class MariadbServer {
 public:
  /// Whether Debian's mariadb-server-core is there.
  static bool installed();

  MariadbServer();

  void start(const std::vector<std::string>& options = {});  // and waits until it answers
  void stop();                                               // orderly
  void kill();                                               // as `kill -9` does
  void freeze() { process_.freeze(); }
  void thaw() { process_.thaw(); }

  /// Creates an empty database; its URL. The user may do everything.
  std::string new_database();
  std::string url(const std::string& database) const;

  /// Makes a key and a certificate of its own for "localhost", as Debian's openssl does.
  void make_certificate(const std::string& key, const std::string& certificate);
  std::filesystem::path file(const std::string& name) const { return process_.file(name); }

 private:
  bool answers() const;

  ServerProcess process_;
  int databases_ = 0;
};

}  // namespace trialwire::test
