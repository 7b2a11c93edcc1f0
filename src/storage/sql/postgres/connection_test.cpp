// SPDX-License-Identifier: Apache-2.0
// What a connection does without a server; with one: tests/services/postgres.
#include "storage/sql/postgres/connection.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include <fmt/format.h>

namespace trialwire::storage::postgres {
namespace {

using std::chrono::milliseconds;

/// A port on which the kernel takes connections and nobody answers, or where nobody listens.
class SilentPort {
 public:
  explicit SilentPort(bool listens) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address);
    if (listens) ::listen(socket_, 8);
    socklen_t size = sizeof address;
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() { ::close(socket_); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  ConnectionOptions options() const {
    ConnectionOptions options;
    options.url = fmt::format("postgres://nurse:secret-word@127.0.0.1:{}/trials", port_);
    options.connect_timeout = milliseconds(30);
    return options;
  }
  std::string name() const { return fmt::format("127.0.0.1:{}/trials", port_); }

 private:
  int socket_;
  int port_ = 0;
};

TEST(PostgresUrl, its_name_has_no_user_and_no_password) {
  EXPECT_EQ(connection_name("postgres://u:p@db.example.org:6000/trials?sslmode=require").value(),
            "db.example.org:6000/trials");
  EXPECT_EQ(connection_name("postgresql://u@db/trials").value(), "db:5432/trials");
  EXPECT_EQ(connection_name("postgres://[::1]:5432/trials").value(), "::1:5432/trials");
}

TEST(PostgresUrl, what_is_none_is_refused_without_repeating_it) {
  for (const char* url : {"", "postgres:secret", "mysql://u:secret@h/d", "postgres://u:%zz@h/d",
                          "postgres://u:secret@h/d?secret=1"}) {
    auto name = connection_name(url);
    ASSERT_FALSE(name) << url;
    EXPECT_EQ(name.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(name.error().text.contains("secret")) << name.error().text;
    EXPECT_TRUE(name.error().text.contains("postgres://user:password@host:port/database"));
  }
}

TEST(PostgresConnection, a_port_where_nobody_listens_is_unavailable_and_named) {
  SilentPort port(false);
  auto connection = Connection::connect(port.options(), {});
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(connection.error().text.contains(port.name())) << connection.error().text;
  EXPECT_TRUE(connection.error().text.contains("refused")) << connection.error().text;
  EXPECT_FALSE(connection.error().text.contains("secret-word"));
}

TEST(PostgresConnection, a_server_that_says_nothing_is_given_up_in_time) {
  SilentPort port(true);
  auto connection = Connection::connect(port.options(), {});
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, ErrorCode::deadline_exceeded);
  EXPECT_TRUE(connection.error().text.contains(port.name())) << connection.error().text;
}

TEST(PostgresConnection, an_interrupt_ends_the_wait_at_once) {
  SilentPort port(true);
  ConnectionOptions options = port.options();
  options.connect_timeout = std::chrono::hours(1);
  Interrupt interrupt;
  EXPECT_FALSE(interrupt.raised());
  interrupt.raise();
  interrupt.raise();
  EXPECT_TRUE(interrupt.raised());
  auto connection = Connection::connect(options, {.interrupt = &interrupt});
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace trialwire::storage::postgres
