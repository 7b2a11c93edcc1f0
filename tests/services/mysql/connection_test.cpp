// SPDX-License-Identifier: Apache-2.0
// What a connection promises of its server: encryption that is there, commits that are on disk.
#include "storage/sql/mysql/connection.hpp"

#include <gtest/gtest.h>

#include <string>

#include "services/mysql/fixture.hpp"

namespace trialwire::test {
namespace {

using storage::mysql::Connection;
using storage::mysql::Encryption;

class MysqlConnectionTest : public MysqlTest {
 protected:
  Result<Connection> connect() { return Connection::connect(options.connection, {}); }
  std::string cipher() {
    auto connection = connect();
    if (!connection) return connection.error().text;
    auto rows = connection->rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'", "ask", {});
    return rows->front()[1].value_or("");
  }
};

TEST_F(MysqlConnectionTest, a_server_without_encryption_is_refused_where_that_is_wanted) {
  for (Encryption wanted : {Encryption::require, Encryption::verify}) {
    options.connection.address.encryption = wanted;
    auto connection = connect();
    ASSERT_FALSE(connection);
    EXPECT_EQ(connection.error().code, ErrorCode::unavailable);
    EXPECT_TRUE(connection.error().text.contains("TLS")) << connection.error().text;
  }
}

TEST_F(MysqlConnectionTest, a_certificate_is_verified_against_the_authority_and_the_name) {
  server().make_certificate("key.pem", "certificate.pem");
  server().make_certificate("other-key.pem", "other.pem");
  server().stop();
  server().start({"--ssl-key=" + server().file("key.pem").string(),
                  "--ssl-cert=" + server().file("certificate.pem").string()});
  auto& address = options.connection.address;
  EXPECT_EQ(cipher(), "") << "off";
  address.encryption = Encryption::require;
  EXPECT_TRUE(cipher().starts_with("TLS_")) << cipher();
  address.encryption = Encryption::verify;
  address.host = "localhost";
  EXPECT_TRUE(cipher().contains("error 2026")) << cipher();
  address.ca_file = server().file("other.pem");
  EXPECT_TRUE(cipher().contains("error 2026")) << cipher();
  address.ca_file = server().file("certificate.pem");
  EXPECT_TRUE(cipher().starts_with("TLS_")) << cipher();
  address.host = "127.0.0.1";
  EXPECT_TRUE(cipher().contains("error 2026")) << "the certificate names localhost " << cipher();
  server().stop();
  server().start();
}

TEST_F(MysqlConnectionTest, a_server_that_does_not_sync_its_commits_is_told) {
  EXPECT_TRUE(connect().value().facts().commits_are_synced);
  value("SET GLOBAL innodb_flush_log_at_trx_commit = 2");
  EXPECT_FALSE(connect().value().facts().commits_are_synced);
  value("SET GLOBAL innodb_flush_log_at_trx_commit = 1");
}

TEST_F(MysqlConnectionTest, one_that_may_only_read_changes_nothing) {
  value("CREATE TABLE t (a int)");
  options.connection.read_only = true;
  auto connection = connect();
  ASSERT_TRUE(connection);
  auto refused = connection->run("INSERT INTO t VALUES (1)", "insert", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_TRUE(refused.error().text.contains("error 1792")) << refused.error().text;
  EXPECT_FALSE(connection->broken());
}

TEST_F(MysqlConnectionTest, an_error_names_the_server_and_the_number_and_no_value) {
  auto connection = connect();
  ASSERT_TRUE(connection);
  auto refused = connection->run("SELECT secret FROM nowhere WHERE a = 'secret'", "look", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().text, "mysql " + options.connection.address.text() +
                                      ": look: there is no such table (error 1146, SQLSTATE "
                                      "42S02)");
  EXPECT_EQ(connection->error_number(), 1146U);
}

}  // namespace
}  // namespace trialwire::test
