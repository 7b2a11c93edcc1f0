// SPDX-License-Identifier: Apache-2.0
#include "serve_intake.hpp"

#include <vector>

#include "serve_options.hpp"

namespace trialwire {

Result<std::unique_ptr<IntakeService>> IntakeService::make(const config::Settings& settings,
                                                           JournalService& journal,
                                                           std::size_t shards, net::Router& router,
                                                           telemetry::Registry& metrics) {
  std::vector<journal::Appender*> appenders;
  for (unsigned shard = 0; shard < shards; ++shard) appenders.push_back(&journal.appender(shard));
  epro::ReportIntakeOptions options;
  options.intake = intake_options(settings);
  auto reports = epro::add_intake_routes(router, options, appenders, metrics);
  if (!reports) return std::unexpected(reports.error());
  std::unique_ptr<IntakeService> service(new IntakeService);
  service->reports_ = std::move(*reports);
  return service;
}

}  // namespace trialwire
