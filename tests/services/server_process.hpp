// SPDX-License-Identifier: Apache-2.0
// A server of a test's own: a real one, on a free port of 127.0.0.1, in a directory that goes away.
// As root it runs under an account of its package. It is ended by the id of its process, and by the
// kernel when the test's program ends in any other way; no other server is looked for.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trialwire::test {

class ServerProcess {
 public:
  using Command = std::vector<std::string>;

  /// The first of `accounts` that exists is the server's; only asked for where this is root.
  ServerProcess(std::string_view name, const std::vector<std::string>& accounts);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  int port() const noexcept { return port_; }
  std::filesystem::path file(const std::string& name) const { return directory_ / name; }
  void write(const std::string& name, std::string_view text) const;

  /// A program of the server's, under its account, to its end, which must be good.
  void run(const Command& command) const;
  /// The server itself. From the thread only that outlives it: the kernel ends it with that one.
  void start(const Command& command);
  bool has_ended();  // by itself
  /// With SIGKILL all of its processes end at once, with others it may end orderly.
  void end(int signal);
  void freeze() const;  // it stays connected and says nothing
  void thaw() const;

 private:
  pid_t spawn(const Command& command) const;

  std::filesystem::path directory_;
  int port_;
  pid_t process_ = 0;
  // Where this is root: whom it runs as.
  uid_t user_ = 0;
  gid_t group_ = 0;
};

}  // namespace trialwire::test
