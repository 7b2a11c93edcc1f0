// SPDX-License-Identifier: Apache-2.0
// What clients may send: the intake routes of each capability.
#pragma once
#include <memory>
#include <vector>

#include "config/settings.hpp"
#include "epro/intake_routes.hpp"
#include "ingest/kind_intake.hpp"
#include "net/router.hpp"
#include "serve_journal.hpp"

namespace trialwire {

/// Of each kind but reports, which have a form of their own.
std::vector<std::unique_ptr<ingest::KindIntake>> make_kind_intakes(ingest::IntakeShards& shards,
                                                                   telemetry::Registry& metrics);

class IntakeService {
 public:
  /// Adds the routes; must be kept while the router is used.
  static Result<std::unique_ptr<IntakeService>> make(const config::Settings& settings,
                                                     JournalService& journal, std::size_t shards,
                                                     net::Router& router,
                                                     telemetry::Registry& metrics);

 private:
  IntakeService() = default;
  std::unique_ptr<ingest::IntakeShards> shards_;
  std::unique_ptr<epro::ReportIntake> reports_;
  std::vector<std::unique_ptr<ingest::KindIntake>> kinds_;  // the others
};

}  // namespace trialwire
