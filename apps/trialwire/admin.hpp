// SPDX-License-Identifier: Apache-2.0
// What operators ask on the admin port: /healthz (the process answers), /readyz (may traffic be
// sent here, a line a check), /metrics (Prometheus), /debug/config (effective settings, secrets
// masked), /debug/log (PUT ?level=debug[&module=net]: what is logged from now on). Served by the
// control shard, so that a scrape costs no shard of clients anything.
#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "net/router.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire {

enum class Phase : unsigned char { starting, serving, draining };

/// One line of /readyz.
struct ReadinessCheck {
  std::string name;
  bool ok = true;
  /// False: its failure is shown, but intake goes on and traffic may come. A sink that lags is
  /// such: the journal takes reports in the meantime.
  bool required = true;
  std::string detail;
};

struct ReadinessPage {
  bool ready = true;
  std::string text;
};
ReadinessPage readiness_page(const std::vector<ReadinessCheck>& checks);

struct AdminSources {
  const telemetry::Registry* metrics = nullptr;
  std::function<std::vector<ReadinessCheck>()> checks;  // on the control shard
  std::function<std::string()> config;                  // effective, secrets masked
};

/// The sources must outlive the router's use.
Result<void> add_admin_routes(net::Router& router, const AdminSources& sources);

}  // namespace trialwire
