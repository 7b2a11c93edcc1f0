// SPDX-License-Identifier: Apache-2.0
#include "services/postgres/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::test {
namespace {

const std::filesystem::path programs = "/usr/lib/postgresql/15/bin";
constexpr const char* account = "postgres";
constexpr const char* user = "trialwire";
constexpr const char* password = "correct-horse";
constexpr std::chrono::seconds patience{60};

int free_port() {
  int probe = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  TW_CHECK(::bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  socklen_t size = sizeof address;
  ::getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(probe);
  return ntohs(address.sin_port);
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  int file = ::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  TW_CHECK(file >= 0 && ::write(file, text.data(), text.size()) == std::ssize(text));
  ::close(file);
}

}  // namespace

bool PostgresServer::installed() {
  return std::filesystem::exists(programs / "initdb") &&
         (::geteuid() != 0 || ::getpwnam(account) != nullptr);
}

PostgresServer::PostgresServer() : port_(free_port()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "postgres.XXXXXX").string();
  TW_CHECK(::mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  if (::geteuid() == 0) {
    const passwd* entry = ::getpwnam(account);
    TW_CHECK(::chown(directory_.c_str(), entry->pw_uid, entry->pw_gid) == 0);
  }
  write_file(directory_ / "password", password);
  run({(programs / "initdb").string(), "-D", (directory_ / "data").string(), "-U", user, "--pwfile",
       (directory_ / "password").string(), "-A", "scram-sha-256", "-E", "UTF8", "--locale",
       "C.UTF-8", "--no-sync"});
  start();
}

PostgresServer::~PostgresServer() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

pid_t PostgresServer::spawn(const std::vector<std::string>& command) const {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  std::string log = (directory_ / "log").string();
  const passwd* entry = ::geteuid() == 0 ? ::getpwnam(account) : nullptr;
  pid_t child = ::fork();
  TW_CHECK(child >= 0);
  if (child > 0) return child;
  bool ready = ::chdir(directory_.c_str()) == 0;
  if (entry != nullptr) {
    ready = ready && ::setgroups(0, nullptr) == 0 && ::setgid(entry->pw_gid) == 0 &&
            ::setuid(entry->pw_uid) == 0;
  }
  int output = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  ::dup2(output, 1);
  ::dup2(output, 2);
  if (ready) ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

void PostgresServer::run(const std::vector<std::string>& command) const {
  int status = 0;
  pid_t child = spawn(command);
  TW_CHECK(::waitpid(child, &status, 0) == child);
  TW_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void PostgresServer::start() {
  TW_CHECK(process_ == 0);
  const std::vector<std::string> command{(programs / "postgres").string(),
                                         "-D",
                                         (directory_ / "data").string(),
                                         "-p",
                                         std::to_string(port_),
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
  process_ = spawn(command);
  auto give_up = std::chrono::steady_clock::now() + patience;
  while (PQping(url("postgres").c_str()) != PQPING_OK) {
    TW_CHECK(std::chrono::steady_clock::now() < give_up);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    // After a kill it refuses to start while children of the one before are about.
    if (::waitpid(process_, nullptr, WNOHANG) == process_) process_ = spawn(command);
  }
}

void PostgresServer::stop() {
  if (process_ == 0) return;
  ::kill(process_, SIGINT);
  ::waitpid(process_, nullptr, 0);
  process_ = 0;
}

void PostgresServer::kill() {
  if (process_ == 0) return;
  // Its children end by themselves when it has gone.
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = 0;
}

void PostgresServer::freeze() {
  ::kill(process_, SIGSTOP);
}
void PostgresServer::thaw() {
  ::kill(process_, SIGCONT);
}

std::string PostgresServer::url(const std::string& database) const {
  return fmt::format("postgres://{}:{}@127.0.0.1:{}/{}", user, password, port_, database);
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
