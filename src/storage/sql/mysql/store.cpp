// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/store.hpp"

#include <utility>

#include "storage/sql/migrations.hpp"
#include "storage/sql/mysql/record_query.hpp"
#include "storage/sql/mysql/session.hpp"
#include "storage/sql/mysql/sink.hpp"

namespace trialwire::storage::mysql {
namespace {

class MysqlStore final : public Store {
 public:
  MysqlStore(StoreOptions options, ServerAddress address)
      : options_(std::move(options)), address_(std::move(address)) {}

  std::string_view name() const noexcept override { return sink_name; }
  std::string where() const override { return "mysql " + address_.text(); }

  std::unique_ptr<pipeline::Sink> make_sink(unsigned lane, RowMappers mappers,
                                            telemetry::Registry& metrics) const override {
    return mysql::make_sink({.connection = connection_options("sink"),
                             .lane = lane,
                             .statement = options_.statement_timeout},
                            std::move(mappers), metrics);
  }

  std::unique_ptr<RecordQuery> make_query() const override {
    RecordQueryOptions options{.connection = connection_options("query"),
                               .connections_max = options_.query_connections_max};
    options.connection.read_only = true;
    return make_record_query(std::move(options));
  }

  Result<std::unique_ptr<Session>> connect(Access access) const override {
    ConnectionOptions options = connection_options("session");
    SessionLimits limits;
    options.read_only = access != Access::write;
    if (access == Access::write) limits.statement = migration_patience;
    auto connection = Connection::connect(options, {});
    if (!connection) return std::unexpected(connection.error());
    return std::make_unique<OwnSession>(std::move(*connection), limits);
  }

 private:
  ConnectionOptions connection_options(std::string_view what) const {
    ConnectionOptions options{.address = address_};
    options.program_name.append(" ").append(what);
    options.connect_timeout = options_.connect_timeout;
    return options;
  }

  StoreOptions options_;
  ServerAddress address_;
};

}  // namespace

Result<std::unique_ptr<Store>> open_store(const StoreOptions& options) {
  auto address = parse_server_address(options.url);
  if (!address) return fail(address.error().code, "store.url: " + address.error().text);
  return std::make_unique<MysqlStore>(options, std::move(*address));
}

}  // namespace trialwire::storage::mysql
