// SPDX-License-Identifier: Apache-2.0
// What the tests of MySQL share: one MariaDB a program, a fresh database a test.
#pragma once
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/mysql/other_program.hpp"
#include "services/mysql/server.hpp"
#include "services/words.hpp"
#include "storage/sql/mysql/sink.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::test {

/// A machine without MariaDB skips its tests, saying so; where TRIALWIRE_SERVICES is "required"
/// that is a failure.
class MysqlTest : public testing::Test {
 protected:
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    if (!MariadbServer::installed()) {
      const char* wanted = std::getenv("TRIALWIRE_SERVICES");
      if (wanted != nullptr && std::string_view(wanted) == "required") {
        FAIL() << "mariadb-server-core is not installed";
      }
      GTEST_SKIP() << "mariadb-server-core is not installed";
    }
    if (!server_) server_ = std::make_unique<MariadbServer>();
    url = server_->new_database();
    options.connection.address = storage::mysql::parse_server_address(url).value();
  }
  static MariadbServer& server() { return *server_; }

  std::unique_ptr<pipeline::Sink> make_sink(storage::mysql::SinkOptions with) {
    using journal::RecordKind;
    std::vector<std::unique_ptr<storage::RowMapper>> mappers;
    mappers.push_back(
        std::make_unique<WordsMapper>(RecordKind::epro_report, "epro_reports", "comments"));
    mappers.push_back(
        std::make_unique<WordsMapper>(RecordKind::trial_metric, "trial_metrics", "annotations"));
    return storage::mysql::make_sink(std::move(with), std::move(mappers), metrics);
  }
  std::unique_ptr<pipeline::Sink> make_sink() { return make_sink(options); }
  std::string value(const std::string& sql) { return OtherProgram(url).value(sql); }

  std::string url;
  storage::mysql::SinkOptions options;
  telemetry::Registry metrics;
  Uuid journal = Uuid::random();
  Deliveries deliveries{journal};

 private:
  inline static std::unique_ptr<MariadbServer> server_;
};

}  // namespace trialwire::test
