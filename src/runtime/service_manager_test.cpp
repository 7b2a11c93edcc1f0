// SPDX-License-Identifier: Apache-2.0
#include "runtime/service_manager.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <string>

namespace trialwire::runtime {
namespace {

using namespace std::chrono_literals;

/// As systemd: a datagram socket (of the abstract names) that NOTIFY_SOCKET tells.
class ServiceManagerTest : public testing::Test {
 protected:
  ServiceManagerTest() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const std::string name = "@trialwire-test-" + std::to_string(::getpid());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  ~ServiceManagerTest() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
    ::close(socket_);
  }
  /// Empty: nothing was told within that time.
  std::string told(std::chrono::milliseconds within) const {
    pollfd ready{.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(within.count())) != 1) return "";
    std::array<char, 1'024> text{};
    const auto size = ::recv(socket_, text.data(), text.size(), 0);
    return {text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  }

  int socket_;
};

TEST_F(ServiceManagerTest, is_told_when_clients_are_served_and_when_that_ends) {
  notify_ready("HTTP on 127.0.0.1:8080");
  EXPECT_EQ(told(5s), "READY=1\nSTATUS=HTTP on 127.0.0.1:8080");
  notify_stopping();
  EXPECT_EQ(told(5s), "STOPPING=1\nSTATUS=finishing what was accepted");
}

TEST_F(ServiceManagerTest, without_one_nothing_happens) {
  ::unsetenv("NOTIFY_SOCKET");
  notify_ready("");
  EXPECT_EQ(told(50ms), "");
}

TEST_F(ServiceManagerTest, wants_signs_of_life_of_the_process_that_it_names) {
  EXPECT_EQ(watchdog_interval(), 0us);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  EXPECT_EQ(watchdog_interval(), 30s);
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(watchdog_interval(), 0us);
}

TEST_F(ServiceManagerTest,
       gets_signs_of_life_while_every_shard_answers_and_none_while_one_is_stuck) {
  Shard first(0), second(1);
  first.start();
  second.start();
  {
    Watchdog watchdog({&first, &second}, 150ms);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(told(5s), "WATCHDOG=1");
    std::promise<void> stuck, free;
    second.post([&, freed = free.get_future().share()] {
      stuck.set_value();
      freed.wait();
    });
    stuck.get_future().wait();
    while (told(300ms) == "WATCHDOG=1") {  // those that were on their way
    }
    EXPECT_EQ(told(300ms), "");
    free.set_value();
    EXPECT_EQ(told(5s), "WATCHDOG=1");
  }
  first.stop();
  second.stop();
}

}  // namespace
}  // namespace trialwire::runtime
