// SPDX-License-Identifier: Apache-2.0
// What the tests of PostgreSQL share: one server a program, a fresh database a test, the record
// format of few words, and another program's eyes on the database.
#pragma once
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/postgres/server.hpp"
#include "services/words.hpp"
#include "storage/sql/postgres/sink.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::test {

/// Another program's connection.
class OtherProgram {
 public:
  explicit OtherProgram(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
    PQsetNoticeProcessor(connection_.get(), [](void*, const char*) {}, nullptr);
  }
  /// The first column of the first row as text; "NULL" for NULL, "" for no row; else the error.
  std::string value(const std::string& sql) {
    std::unique_ptr<PGresult, Clear> result(PQexec(connection_.get(), sql.c_str()));
    ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
      return PQerrorMessage(connection_.get());
    }
    if (PQntuples(result.get()) == 0) return "";
    return PQgetisnull(result.get(), 0, 0) != 0 ? "NULL" : PQgetvalue(result.get(), 0, 0);
  }
  /// The sessions of the product in this database, but for this one.
  std::string cut_others() {
    return value(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()");
  }

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Finish> connection_;
};

/// One server for all tests of the program. A machine without PostgreSQL skips them, saying so;
/// where TRIALWIRE_SERVICES is "required" that is a failure.
class PostgresTest : public testing::Test {
 protected:
  static void TearDownTestSuite() { server_.reset(); }
  void SetUp() override {
    if (!PostgresServer::installed()) {
      const char* wanted = std::getenv("TRIALWIRE_SERVICES");
      if (wanted != nullptr && std::string_view(wanted) == "required") {
        FAIL() << "PostgreSQL 15 is not installed";
      }
      GTEST_SKIP() << "PostgreSQL 15 is not installed";
    }
    if (!server_) server_ = std::make_unique<PostgresServer>();
    url = server_->new_database();
    options.connection.url = url;
  }
  static PostgresServer& server() { return *server_; }

  std::unique_ptr<pipeline::Sink> make_sink(storage::postgres::SinkOptions with) {
    using journal::RecordKind;
    std::vector<std::unique_ptr<storage::RowMapper>> mappers;
    mappers.push_back(
        std::make_unique<WordsMapper>(RecordKind::epro_report, "epro_reports", "comments"));
    mappers.push_back(
        std::make_unique<WordsMapper>(RecordKind::trial_metric, "trial_metrics", "annotations"));
    return storage::postgres::make_sink(std::move(with), std::move(mappers), metrics);
  }
  std::unique_ptr<pipeline::Sink> make_sink() { return make_sink(options); }
  std::string value(const std::string& sql) { return OtherProgram(url).value(sql); }

  std::string url;
  storage::postgres::SinkOptions options;
  telemetry::Registry metrics;
  Uuid journal = Uuid::random();
  Deliveries deliveries{journal};

 private:
  inline static std::unique_ptr<PostgresServer> server_;
};

}  // namespace trialwire::test
