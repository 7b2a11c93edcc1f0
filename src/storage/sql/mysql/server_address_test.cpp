// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/server_address.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace trialwire::storage::mysql {
namespace {

std::string why_not(std::string_view url) {
  auto address = parse_server_address(url);
  return address ? "accepted" : address.error().text;
}

TEST(MysqlServerAddressTest, every_part_is_read_and_percent_decoded) {
  auto address =
      parse_server_address("mysql://tri%40l:p%2Fw%3A%23+@db.example:3307/trial%20wire?ssl=require");
  ASSERT_TRUE(address) << address.error().text;
  EXPECT_EQ(address->user, "tri@l");
  EXPECT_EQ(address->password, "p/w:#+");
  EXPECT_EQ(address->host, "db.example");
  EXPECT_EQ(address->port, 3307);
  EXPECT_EQ(address->database, "trial wire");
  EXPECT_EQ(address->encryption, Encryption::require);
}

TEST(MysqlServerAddressTest, port_password_and_parameters_have_defaults) {
  auto address = parse_server_address("mysql://u@h/d");
  ASSERT_TRUE(address) << address.error().text;
  EXPECT_EQ(address->port, 3306);
  EXPECT_EQ(address->password, "");
  EXPECT_EQ(address->encryption, Encryption::off);
  EXPECT_EQ(address->text(), "h:3306/d");
}

TEST(MysqlServerAddressTest, an_address_of_ipv6_stands_in_brackets) {
  auto address = parse_server_address("mysql://u:p@[::1]:3310/d");
  ASSERT_TRUE(address) << address.error().text;
  EXPECT_EQ(address->host, "::1");
  EXPECT_EQ(address->port, 3310);
  EXPECT_EQ(address->text(), "[::1]:3310/d");
  EXPECT_TRUE(why_not("mysql://u@[::1/d").contains("closing bracket"));
}

TEST(MysqlServerAddressTest, a_socket_takes_the_place_of_the_host) {
  auto address = parse_server_address("mysql://u@/d?socket=%2Frun%2Fmysqld%2Fmysqld.sock");
  ASSERT_TRUE(address) << address.error().text;
  EXPECT_EQ(address->socket, "/run/mysqld/mysqld.sock");
  EXPECT_EQ(address->text(), "/run/mysqld/mysqld.sock/d");
}

TEST(MysqlServerAddressTest, certificates_want_encryption_and_a_key_its_certificate) {
  auto address =
      parse_server_address("mysql://u@h/d?ssl=verify&ssl_ca=/etc/ca.pem&ssl_cert=c&ssl_key=k");
  ASSERT_TRUE(address) << address.error().text;
  EXPECT_EQ(address->encryption, Encryption::verify);
  EXPECT_EQ(address->ca_file, "/etc/ca.pem");
  EXPECT_TRUE(why_not("mysql://u@h/d?ssl_ca=ca.pem").contains("ssl is off"));
  EXPECT_TRUE(why_not("mysql://u@h/d?ssl=verify&ssl_key=k").contains("belong together"));
}

TEST(MysqlServerAddressTest, what_is_not_understood_is_refused_without_repeating_it) {
  for (std::string_view url : {"postgres://u:secret@h/d",
                               "mysql:u:secret@h/d",
                               "mysql://u:secret@h",
                               "mysql://h/d",
                               "mysql://u:secret@/d",
                               "mysql://u:secret@h:0/d",
                               "mysql://u:secret@h:65536/d",
                               "mysql://u:secret@h:33x/d",
                               "mysql://u:secret%4@h/d",
                               "mysql://u:secret%0a@h/d",
                               "mysql://u:secret%zz@h/d",
                               "mysql://u:secret%00@h/d",
                               "mysql://:secret@h/d",
                               "mysql://u:secret@h/",
                               "mysql://u:secret@h/d/e",
                               "mysql://u:secret@h/d?ssl=yes",
                               "mysql://u:secret@h/d?ssl",
                               "mysql://u:secret@h/d?ssl=",
                               "mysql://u:secret@h/d?sslmode=verify",
                               "mysql://u:secret@h/d?ssl=off&ssl=verify",
                               "mysql://u:secret@h/d#x"}) {
    auto address = parse_server_address(url);
    ASSERT_FALSE(address) << url;
    EXPECT_EQ(address.error().code, ErrorCode::invalid_argument) << url;
    EXPECT_FALSE(address.error().text.contains("secret")) << address.error().text;
  }
}

}  // namespace
}  // namespace trialwire::storage::mysql
