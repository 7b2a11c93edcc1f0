// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/directory_check.hpp"
#include "storage/sql/sqlite/record_query.hpp"
#include "storage/sql/sqlite/session.hpp"
#include "storage/sql/sqlite/sink.hpp"

namespace trialwire::storage::sqlite {
namespace {

class OwningSession final : public Session {
 public:
  explicit OwningSession(Database database) : database_(std::move(database)) {}
  Dialect dialect() const noexcept override { return Dialect::sqlite; }
  Result<void> execute(const std::string& sql) override { return session_.execute(sql); }
  Result<std::vector<Row>> rows(const std::string& sql) override { return session_.rows(sql); }

 private:
  Database database_;
  DatabaseSession session_{database_};
};

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(const StoreOptions& options)
      : path_(path_of(options.url, options.data_dir)),
        data_dir_(options.data_dir),
        query_connections_max_(options.query_connections_max) {}

  std::string_view name() const noexcept override { return sink_name; }
  std::string where() const override { return fmt::format("{} {}", sink_name, path_.string()); }
  bool made_when_missing() const noexcept override { return true; }
  bool works_in_process() const noexcept override { return true; }

  Result<void> check_writable() const override {
    if (auto directory = check_directory(path_.parent_path()); !directory) {
      return fail(directory.error().code,
                  fmt::format("database {}: {}", path_.string(), directory.error().text));
    }
    if (::faccessat(AT_FDCWD, path_.c_str(), W_OK, AT_EACCESS) == 0 || errno == ENOENT) return {};
    return std::unexpected(
        errno_error(fmt::format("database {}: cannot write it", path_.string()), errno));
  }

  std::unique_ptr<pipeline::Sink> make_sink(unsigned lane, RowMappers mappers,
                                            telemetry::Registry& metrics) const override {
    TW_CHECK(lane == 0);
    SinkOptions options;
    options.database.path = path_;
    return sqlite::make_sink(std::move(options), std::move(mappers), metrics);
  }
  std::unique_ptr<RecordQuery> make_query() const override {
    RecordQueryOptions options;
    options.path = path_;
    options.connections_max = query_connections_max_;
    return make_record_query(std::move(options));
  }
  Result<std::unique_ptr<Session>> connect(Access access) const override {
    DatabaseOptions options{.path = path_};
    std::error_code ignored;
    if (access != Access::write && !std::filesystem::exists(path_, ignored)) {
      auto parent = path_.parent_path();
      if (parent.empty() || parent == data_dir_ || std::filesystem::exists(parent, ignored)) {
        return fail(ErrorCode::not_found, fmt::format("database {}: is not there", path_.string()));
      }
      return fail(ErrorCode::unavailable,
                  fmt::format("database {}: its directory is not there", path_.string()));
    }
    auto database = access == Access::write  ? Database::open_writer(options)
                    : access == Access::read ? Database::open_reader(options)
                                             : Database::open_at_rest(options);
    if (!database) return std::unexpected(database.error());
    return std::make_unique<OwningSession>(std::move(*database));
  }

 private:
  std::filesystem::path path_;
  std::filesystem::path data_dir_;  // made by serve, unlike any other directory
  std::size_t query_connections_max_;
};

}  // namespace

std::filesystem::path path_of(std::string_view url, const std::filesystem::path& data_dir) {
  std::string_view path = url.substr(url.find(':') + 1);
  constexpr std::string_view in_data_dir = "data/";
  if (path.starts_with(in_data_dir)) return data_dir / path.substr(in_data_dir.size());
  return path;
}

Result<std::unique_ptr<Store>> open_store(const StoreOptions& options) {
  if (path_of(options.url, options.data_dir).empty()) {
    return fail(ErrorCode::invalid_argument, "store.url: must be sqlite:PATH");
  }
  return std::make_unique<SqliteStore>(options);
}

}  // namespace trialwire::storage::sqlite
