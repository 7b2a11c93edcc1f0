// SPDX-License-Identifier: Apache-2.0
#include "services/server_process.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire::test {
namespace {

std::vector<pid_t> children_of(pid_t process) {
  std::ifstream list(fmt::format("/proc/{0}/task/{0}/children", process));
  return {std::istream_iterator<pid_t>(list), {}};
}

/// Each of its threads.
bool stopped(pid_t process) {
  for (const auto& task :
       std::filesystem::directory_iterator(fmt::format("/proc/{}/task", process))) {
    std::ifstream file(task.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    const std::size_t name_end = stat.rfind(") ");
    if (name_end == std::string::npos || stat[name_end + 2] != 'T') return false;
  }
  return true;
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

std::filesystem::path new_directory(std::string_view name) {
  auto pattern = (std::filesystem::temp_directory_path() / fmt::format("{}.XXXXXX", name)).string();
  TW_CHECK(::mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

}  // namespace

ServerProcess::ServerProcess(std::string_view name, const std::vector<std::string>& accounts)
    : directory_(new_directory(name)), port_(free_port()) {
  if (::geteuid() != 0) return;
  const passwd* entry = nullptr;
  for (const std::string& account : accounts) {
    entry = ::getpwnam(account.c_str());
    if (entry != nullptr) break;
  }
  TW_CHECK(entry != nullptr);
  user_ = entry->pw_uid;
  group_ = entry->pw_gid;
  TW_CHECK(::chown(directory_.c_str(), user_, group_) == 0);
}

ServerProcess::~ServerProcess() {
  end(SIGKILL);
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void ServerProcess::write(const std::string& name, std::string_view text) const {
  int file = ::open((directory_ / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
  TW_CHECK(file >= 0 && ::write(file, text.data(), text.size()) == std::ssize(text));
  ::close(file);
}

pid_t ServerProcess::spawn(const Command& command) const {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const std::string log = (directory_ / "log").string();
  const pid_t parent = ::getpid();
  pid_t child = ::fork();
  TW_CHECK(child >= 0);
  if (child > 0) return child;
  bool ready = ::chdir(directory_.c_str()) == 0;
  if (user_ != 0) {
    ready = ready && ::setgroups(0, nullptr) == 0 && ::setgid(group_) == 0 && ::setuid(user_) == 0;
  }
  int output = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
  ::dup2(output, 1);
  ::dup2(output, 2);
  // After the change of user, which undoes it.
  ready = ready && ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent;
  if (ready) ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

void ServerProcess::run(const Command& command) const {
  int status = 0;
  pid_t child = spawn(command);
  TW_CHECK(::waitpid(child, &status, 0) == child);
  TW_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

void ServerProcess::start(const Command& command) {
  TW_CHECK(process_ == 0);
  process_ = spawn(command);
}

bool ServerProcess::has_ended() {
  if (process_ == 0 || ::waitpid(process_, nullptr, WNOHANG) != process_) return process_ == 0;
  process_ = 0;
  return true;
}

void ServerProcess::end(int signal) {
  if (process_ == 0) return;
  // A server's processes for connections would go on answering for a moment.
  std::vector<pid_t> children;
  if (signal == SIGKILL) children = children_of(process_);
  ::kill(process_, signal);
  for (pid_t child : children) ::kill(child, SIGKILL);
  ::waitpid(process_, nullptr, 0);
  process_ = 0;
}

void ServerProcess::freeze() const {
  ::kill(process_, SIGSTOP);
  // Its threads stop one after the other: until the last has, it may answer.
  while (!stopped(process_)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void ServerProcess::thaw() const {
  ::kill(process_, SIGCONT);
}

}  // namespace trialwire::test
