// SPDX-License-Identifier: Apache-2.0
#include "epro/intake_routes.hpp"

#include "runtime/shard.hpp"

namespace trialwire::epro {

Result<std::unique_ptr<ReportIntake>> add_intake_routes(net::Router& router,
                                                        const ReportLimits& limits,
                                                        ingest::IntakeShards& shards,
                                                        telemetry::Registry& registry) {
  auto intake = std::make_unique<ReportIntake>(limits, shards, registry);
  for (std::size_t path = 0; path < ReportIntake::path_count; ++path) {
    auto handler = [target = intake.get(), path](net::Exchange& exchange) {
      runtime::Shard& shard = exchange.shard();
      target->intake(shard.index(), path).handle(exchange, shard.unix_now_ns());
    };
    auto added = router.add(net::Method::post, ReportIntake::paths()[path], handler,
                            {.scope = auth::Scope::reports_write, .kind = net::RouteKind::intake});
    if (!added) return std::unexpected(added.error());
  }
  return intake;
}

}  // namespace trialwire::epro
