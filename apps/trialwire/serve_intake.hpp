// SPDX-License-Identifier: Apache-2.0
// What clients may send: the intake routes of each capability.
#pragma once
#include <memory>

#include "config/settings.hpp"
#include "epro/intake_routes.hpp"
#include "net/router.hpp"
#include "serve_journal.hpp"

namespace trialwire {

class IntakeService {
 public:
  /// Adds the routes; must be kept while the router is used.
  static Result<std::unique_ptr<IntakeService>> make(const config::Settings& settings,
                                                     JournalService& journal, std::size_t shards,
                                                     net::Router& router,
                                                     telemetry::Registry& metrics);

 private:
  IntakeService() = default;
  std::unique_ptr<epro::ReportIntake> reports_;
};

}  // namespace trialwire
