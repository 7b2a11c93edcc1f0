// SPDX-License-Identifier: Apache-2.0
// Puts the intake of reports on a router. At start, before the server runs.
#pragma once
#include <memory>

#include "base/error.hpp"
#include "epro/report_intake.hpp"
#include "net/router.hpp"

namespace trialwire::epro {

/// Makes the intake and adds its routes; the caller keeps it for as long as the router is used.
/// `shards` outlive it. Errors: those of Router::add.
Result<std::unique_ptr<ReportIntake>> add_intake_routes(net::Router& router,
                                                        const ReportLimits& limits,
                                                        ingest::IntakeShards& shards,
                                                        telemetry::Registry& registry);

}  // namespace trialwire::epro
