// SPDX-License-Identifier: Apache-2.0
#include "serve_store.hpp"

#include <fmt/format.h>

#include "data_directory.hpp"
#include "epro/report_rows.hpp"
#include "serve_options.hpp"
#include "storage/sql/sqlite/report_query.hpp"
#include "storage/sql/sqlite/sink.hpp"
#include "telemetry/log.hpp"

namespace trialwire {
namespace {

storage::sqlite::SinkOptions sink_options(const std::filesystem::path& file) {
  storage::sqlite::SinkOptions options;
  options.database.path = file;
  return options;
}

std::unique_ptr<pipeline::Sink> make_sink(const std::filesystem::path& file,
                                          telemetry::Registry& metrics) {
  std::vector<std::unique_ptr<storage::RowMapper>> mappers;
  mappers.push_back(epro::make_report_rows());
  return storage::sqlite::make_sink(sink_options(file), std::move(mappers), metrics);
}

std::unique_ptr<storage::ReportQuery> make_query(const config::Settings& settings,
                                                 const std::filesystem::path& file) {
  storage::sqlite::ReportQueryOptions options;
  options.path = file;
  options.connections_max = settings.runtime.workers;
  options.flag_names = epro::report_flag_names();
  return storage::sqlite::make_report_query(std::move(options));
}

epro::ReportListOptions list_options(const config::Settings& settings) {
  epro::ReportListOptions options;
  options.query_timeout =
      std::chrono::ceil<std::chrono::milliseconds>(settings.limits.request_deadline);
  return options;
}

}  // namespace

journal::ConsumedBelow consumed_below(const config::Settings& settings,
                                      const std::filesystem::path& data_dir) {
  return [file = sqlite_path(settings.store.url, data_dir)](const Uuid& journal) -> std::uint64_t {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) return 0;
    auto cursor = storage::sqlite::stored_cursor(sink_options(file), journal);
    if (cursor) return cursor->next_sequence;
    telemetry::log(telemetry::LogLevel::warn, "serve",
                   "the database does not say what it has: the whole journal is verified",
                   {{"reason", cursor.error().text}});
    return 0;
  };
}

StoreService::StoreService(const config::Settings& settings, const std::filesystem::path& data_dir,
                           journal::Journal& journal, telemetry::Registry& metrics)
    : journal_(journal),
      workers_(worker_options(settings)),
      query_(make_query(settings, sqlite_path(settings.store.url, data_dir))),
      list_(list_options(settings), *query_, workers_),
      lane_(lane_options(settings), journal,
            make_sink(sqlite_path(settings.store.url, data_dir), metrics), metrics) {
  metrics.observe("trialwire_worker_queue", "Queries that wait for a worker.", {},
                  [this] { return static_cast<double>(workers_.queued()); });
  metrics.observe("trialwire_worker_queue_max", "Queries that may wait for a worker.", {},
                  [max = settings.runtime.worker_queue] { return static_cast<double>(max); });
  metrics.observe_total("trialwire_worker_refused_total", "Queries refused: the queue was full.",
                        {}, [this] { return static_cast<double>(workers_.refused()); });
}

Result<void> StoreService::add_routes(net::Router& router) {
  return epro::add_list_routes(router, list_);
}

Result<void> StoreService::start() {
  return lane_.start();
}

void StoreService::stop() {
  lane_.stop();
  workers_.stop();
}

ReadinessCheck StoreService::readiness() {
  return progress_.check(lane_.next_sequence(), journal_.status().next_sequence,
                         std::chrono::steady_clock::now());
}

}  // namespace trialwire
