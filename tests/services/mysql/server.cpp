// SPDX-License-Identifier: Apache-2.0
#include "services/mysql/server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "base/check.hpp"
#include "services/mysql/other_program.hpp"

namespace trialwire::test {
namespace {

constexpr const char* installer = "/usr/bin/mariadb-install-db";
constexpr const char* program = "/usr/sbin/mariadbd";
constexpr const char* user = "trialwire";
constexpr const char* password = "correct-horse";
constexpr std::chrono::seconds patience{60};

/// Whom a server runs as where this program is root: the package's account, where it is installed.
const passwd* account() {
  if (::geteuid() != 0) return nullptr;
  const passwd* found = ::getpwnam("mysql");
  return found != nullptr ? found : ::getpwnam("nobody");
}

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

bool MariadbServer::installed() {
  return std::filesystem::exists(installer) && std::filesystem::exists(program);
}

MariadbServer::MariadbServer() : port_(free_port()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "mariadb.XXXXXX").string();
  TW_CHECK(::mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  if (const passwd* entry = account()) {
    TW_CHECK(::chown(directory_.c_str(), entry->pw_uid, entry->pw_gid) == 0);
  }
  write_file(directory_ / "init.sql",
             fmt::format("CREATE USER IF NOT EXISTS '{0}'@'%' IDENTIFIED BY '{1}';\n"
                         "GRANT ALL PRIVILEGES ON *.* TO '{0}'@'%' WITH GRANT OPTION;\n",
                         user, password));
  run({installer, "--no-defaults", "--datadir=" + (directory_ / "data").string(),
       "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"});
  start();
}

MariadbServer::~MariadbServer() {
  kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

pid_t MariadbServer::spawn(const std::vector<std::string>& command) const {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  std::string log = (directory_ / "log").string();
  const passwd* entry = account();
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

void MariadbServer::run(const std::vector<std::string>& command) const {
  int status = 0;
  pid_t child = spawn(command);
  TW_CHECK(::waitpid(child, &status, 0) == child);
  TW_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

bool MariadbServer::answers() const {
  return OtherProgram(url("mysql")).value("SELECT 1") == "1";
}

void MariadbServer::make_certificate(const std::string& key, const std::string& certificate) {
  run({"/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
       "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
       certificate});
}

void MariadbServer::start(const std::vector<std::string>& options) {
  TW_CHECK(process_ == 0);
  std::vector<std::string> command{program,
                                   "--no-defaults",
                                   "--datadir=" + (directory_ / "data").string(),
                                   fmt::format("--port={}", port_),
                                   "--bind-address=127.0.0.1",
                                   "--socket=s",
                                   "--pid-file=pid",
                                   "--init-file=" + (directory_ / "init.sql").string(),
                                   "--skip-name-resolve",
                                   "--skip-log-bin",
                                   "--max-connections=60",
                                   "--innodb-flush-log-at-trx-commit=1",
                                   "--innodb-buffer-pool-size=64M",
                                   "--innodb-log-file-size=32M"};
  command.insert(command.end(), options.begin(), options.end());
  process_ = spawn(command);
  auto give_up = std::chrono::steady_clock::now() + patience;
  while (!answers()) {
    TW_CHECK(std::chrono::steady_clock::now() < give_up);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void MariadbServer::stop() {
  if (process_ == 0) return;
  ::kill(process_, SIGTERM);
  ::waitpid(process_, nullptr, 0);
  process_ = 0;
}

void MariadbServer::kill() {
  if (process_ == 0) return;
  ::kill(process_, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = 0;
}

void MariadbServer::freeze() {
  ::kill(process_, SIGSTOP);
}

void MariadbServer::thaw() {
  ::kill(process_, SIGCONT);
}

std::string MariadbServer::url(const std::string& database) const {
  return fmt::format("mysql://{}:{}@127.0.0.1:{}/{}", user, password, port_, database);
}

std::string MariadbServer::new_database() {
  std::string name = fmt::format("test_{}", ++databases_);
  OtherProgram(url("mysql")).value("CREATE DATABASE " + name);
  return url(name);
}

}  // namespace trialwire::test
