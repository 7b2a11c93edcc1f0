// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/store.hpp"

#include <utility>

#include "storage/sql/migrations.hpp"
#include "storage/sql/postgres/record_query.hpp"
#include "storage/sql/postgres/session.hpp"
#include "storage/sql/postgres/sink.hpp"

namespace trialwire::storage::postgres {
namespace {

using std::chrono::milliseconds;

class PostgresStore final : public Store {
 public:
  PostgresStore(StoreOptions options, std::string where)
      : options_(std::move(options)), where_("postgres " + std::move(where)) {}

  std::string_view name() const noexcept override { return "postgres"; }
  std::string where() const override { return where_; }

  std::unique_ptr<pipeline::Sink> make_sink(unsigned lane, RowMappers mappers,
                                            telemetry::Registry& metrics) const override {
    SinkOptions options{.connection = connection_options("sink"), .lane = lane};
    options.connection.statement_timeout = options_.statement_timeout;
    return postgres::make_sink(std::move(options), std::move(mappers), metrics);
  }

  std::unique_ptr<RecordQuery> make_query() const override {
    RecordQueryOptions options{.connection = connection_options("query"),
                               .connections_max = options_.query_connections_max};
    // A server that has gone must not hold up workers for long.
    options.connection.statement_timeout = milliseconds(30'000);
    options.connection.silence_timeout = milliseconds(5'000);
    return make_record_query(std::move(options));
  }

  Result<std::unique_ptr<Session>> connect(Access access) const override {
    ConnectionOptions options = connection_options("session");
    options.statement_timeout = milliseconds(30'000);
    if (access != Access::write) {
      options.settings = "SET default_transaction_read_only = on";
    } else {
      options.statement_timeout = migration_patience;
    }
    auto connection = Connection::connect(options, {});
    if (!connection) return std::unexpected(connection.error());
    return std::make_unique<OwnSession>(std::move(*connection),
                                        SessionLimits{.statement = options.statement_timeout});
  }

 private:
  ConnectionOptions connection_options(std::string_view what) const {
    ConnectionOptions options;
    options.url = options_.url;
    options.application_name.append(" ").append(what);
    options.connect_timeout = options_.connect_timeout;
    return options;
  }

  StoreOptions options_;
  std::string where_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_store(const StoreOptions& options) {
  auto where = connection_name(options.url);
  if (!where) return fail(where.error().code, "store.url: " + where.error().text);
  return std::make_unique<PostgresStore>(options, std::move(*where));
}

}  // namespace trialwire::storage::postgres
