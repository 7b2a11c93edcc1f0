// SPDX-License-Identifier: Apache-2.0
#include "services/postgres/server.hpp"

#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::test {
namespace {

const std::filesystem::path programs = "/usr/lib/postgresql/15/bin";
constexpr const char* account = "postgres";
constexpr const char* owner = "trialwire";
constexpr const char* password = "correct-horse";
constexpr std::chrono::seconds patience{60};

}  // namespace

bool PostgresServer::installed() {
  return std::filesystem::exists(programs / "initdb") &&
         (::geteuid() != 0 || ::getpwnam(account) != nullptr);
}

PostgresServer::PostgresServer() : process_("postgres", {account}) {
  process_.write("password", password);
  process_.run({(programs / "initdb").string(), "-D", process_.file("data").string(), "-U", owner,
                "--pwfile", process_.file("password").string(), "-A", "scram-sha-256", "-E", "UTF8",
                "--locale", "C.UTF-8", "--no-sync"});
  start();
}

void PostgresServer::start() {
  const std::vector<std::string> command{(programs / "postgres").string(),
                                         "-D",
                                         process_.file("data").string(),
                                         "-p",
                                         std::to_string(process_.port()),
                                         "-c",
                                         "listen_addresses=127.0.0.1",
                                         "-c",
                                         "unix_socket_directories=",
                                         "-c",
                                         "fsync=on",
                                         "-c",
                                         "deadlock_timeout=50ms",
                                         "-c",
                                         "max_connections=30"};
  process_.start(command);
  auto give_up = std::chrono::steady_clock::now() + patience;
  while (PQping(url("postgres").c_str()) != PQPING_OK) {
    TW_CHECK(std::chrono::steady_clock::now() < give_up);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // After a kill it refuses to start while children of the one before are about.
    if (process_.has_ended()) process_.start(command);
  }
}

void PostgresServer::stop() {
  process_.end(SIGINT);
}

void PostgresServer::kill() {
  process_.end(SIGKILL);
}

std::string PostgresServer::url(const std::string& database, const std::string& user) const {
  return fmt::format("postgres://{}:{}@127.0.0.1:{}/{}", user, password, process_.port(), database);
}

std::string PostgresServer::new_database() {
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Finish> connection(PQconnectdb(url("postgres").c_str()));
  std::string name = fmt::format("test_{}", ++databases_);
  PGresult* made = PQexec(connection.get(), ("CREATE DATABASE " + name).c_str());
  TW_CHECK(PQresultStatus(made) == PGRES_COMMAND_OK);
  PQclear(made);
  return url(name);
}

}  // namespace trialwire::test
