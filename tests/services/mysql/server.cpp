// SPDX-License-Identifier: Apache-2.0
#include "services/mysql/server.hpp"

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include <fmt/format.h>

#include "base/check.hpp"
#include "services/mysql/other_program.hpp"

namespace trialwire::test {
namespace {

constexpr const char* installer = "/usr/bin/mariadb-install-db";
constexpr const char* program = "/usr/sbin/mariadbd";
constexpr const char* other_program = "TRIALWIRE_MYSQLD";  // MySQL's own, in place of MariaDB's
constexpr const char* user = "trialwire";
constexpr const char* password = "correct-horse";
constexpr std::chrono::seconds patience{60};

/// Null: MariaDB.
const char* mysqld() {
  const char* path = std::getenv(other_program);
  return path == nullptr || *path == 0 ? nullptr : path;
}

}  // namespace

bool MariadbServer::installed() {
  if (mysqld() != nullptr) return std::filesystem::exists(mysqld());
  return std::filesystem::exists(installer) && std::filesystem::exists(program);
}

MariadbServer::MariadbServer() : process_("mariadb", {"mysql", "nobody"}) {
  process_.write("init.sql",
                 fmt::format("CREATE USER IF NOT EXISTS '{0}'@'%' IDENTIFIED BY '{1}';\n"
                             "GRANT ALL PRIVILEGES ON *.* TO '{0}'@'%' WITH GRANT OPTION;\n",
                             user, password));
  const std::string data = "--datadir=" + file("data").string();
  if (mysqld() != nullptr) {
    process_.run({mysqld(), "--no-defaults", "--initialize-insecure", data});
  } else {
    process_.run({installer, "--no-defaults", data, "--auth-root-authentication-method=normal",
                  "--skip-test-db", "--skip-name-resolve"});
  }
  start();
}

bool MariadbServer::answers() const {
  return OtherProgram(url("mysql")).value("SELECT 1") == "1";
}

void MariadbServer::make_certificate(const std::string& key, const std::string& certificate) {
  process_.run({"/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key,
                "-out", certificate});
}

void MariadbServer::start(const std::vector<std::string>& options) {
  std::vector<std::string> command{mysqld() != nullptr ? mysqld() : program,
                                   "--no-defaults",
                                   "--datadir=" + file("data").string(),
                                   fmt::format("--port={}", process_.port()),
                                   "--bind-address=127.0.0.1",
                                   "--socket=s",
                                   "--pid-file=pid",
                                   "--init-file=" + file("init.sql").string(),
                                   "--skip-name-resolve",
                                   "--skip-log-bin",
                                   "--max-connections=60",
                                   "--innodb-flush-log-at-trx-commit=1",
                                   "--innodb-buffer-pool-size=64M"};
  command.emplace_back(mysqld() != nullptr ? "--mysqlx=OFF" : "--innodb-log-file-size=32M");
  command.insert(command.end(), options.begin(), options.end());
  process_.start(command);
  auto give_up = std::chrono::steady_clock::now() + patience;
  while (!answers()) {
    TW_CHECK(!process_.has_ended() && std::chrono::steady_clock::now() < give_up);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void MariadbServer::stop() {
  process_.end(SIGTERM);
}

void MariadbServer::kill() {
  process_.end(SIGKILL);
}

std::string MariadbServer::url(const std::string& database) const {
  return fmt::format("mysql://{}:{}@127.0.0.1:{}/{}", user, password, process_.port(), database);
}

std::string MariadbServer::new_database() {
  std::string name = fmt::format("test_{}", ++databases_);
  OtherProgram(url("mysql")).value("CREATE DATABASE " + name);
  return url(name);
}

}  // namespace trialwire::test
