// SPDX-License-Identifier: Apache-2.0
#include "serve_intake.hpp"

#include <utility>
#include <vector>

#include "qol/qol_intake.hpp"
#include "serve_options.hpp"
#include "trial/metric_intake.hpp"
#include "vitals/vital_intake.hpp"

namespace trialwire {

std::vector<std::unique_ptr<ingest::KindIntake>> make_kind_intakes(ingest::IntakeShards& shards,
                                                                   telemetry::Registry& metrics) {
  std::vector<std::unique_ptr<ingest::KindIntake>> kinds;
  kinds.push_back(qol::make_intake({}, shards, metrics));
  kinds.push_back(vitals::make_intake({}, shards, metrics));
  kinds.push_back(trial::make_intake({}, shards, metrics));
  return kinds;
}

Result<std::unique_ptr<IntakeService>> IntakeService::make(const config::Settings& settings,
                                                           JournalService& journal,
                                                           std::size_t shards, net::Router& router,
                                                           telemetry::Registry& metrics) {
  std::vector<journal::Appender*> appenders;
  for (unsigned shard = 0; shard < shards; ++shard) appenders.push_back(&journal.appender(shard));
  std::unique_ptr<IntakeService> service(new IntakeService);
  service->shards_ = std::make_unique<ingest::IntakeShards>(intake_options(settings), appenders);
  auto reports = epro::add_intake_routes(router, {}, *service->shards_, metrics);
  if (!reports) return std::unexpected(reports.error());
  service->reports_ = std::move(*reports);
  service->kinds_ = make_kind_intakes(*service->shards_, metrics);
  for (const auto& kind : service->kinds_) {
    if (auto added = kind->add_routes(router); !added) return std::unexpected(added.error());
  }
  return service;
}

}  // namespace trialwire
