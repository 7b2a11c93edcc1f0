// SPDX-License-Identifier: Apache-2.0
// What operators ask on the admin port: /healthz (the process answers), /readyz (may traffic be
// sent here, a line a check), /metrics (Prometheus), /debug/config (effective settings, secrets
// masked), /debug/log (PUT ?level=debug[&module=net]: what is logged from now on). Served by the
// control shard, so that a scrape costs no shard of clients anything.
#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <string_view>
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

/// A setting that is changed at run time.
struct SettingChange {
  std::string name;  // "log.level", "log.level of net"
  std::string old_value;
  std::string new_value;
  std::string why;              // X-Audit-Reason
  std::string answer;           // one line for who changes it
  std::function<void()> apply;  // does it; throws nothing
};

constexpr std::string_view change_unaudited =
    "the change cannot be written to the audit trail just now, and is not made";

/// Where changes are written down before they are made.
class ChangeLog {
 public:
  virtual ~ChangeLog() = default;
  /// On the control shard. Makes the change when its entry is durable, and answers; 503 and no
  /// change when it cannot be written.
  virtual void change(net::Exchange& exchange, SettingChange change) = 0;
};

struct AdminSources {
  ChangeLog* changes = nullptr;  // null: no journal here, the log alone says so
  const telemetry::Registry* metrics = nullptr;
  std::function<std::vector<ReadinessCheck>()> checks;  // on the control shard
  std::function<std::string()> config;                  // effective, secrets masked
};

/// The sources must outlive the router's use.
Result<void> add_admin_routes(net::Router& router, const AdminSources& sources);

}  // namespace trialwire
