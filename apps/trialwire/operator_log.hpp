// SPDX-License-Identifier: Apache-2.0
// What operators ask of the admin port that is an entry of the audit trail before it is done:
// profiles, and traces. docs/decisions/audit.md.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "journal/appender.hpp"
#include "net/exchange.hpp"

namespace trialwire {

struct OperatorAct {
  std::string_view what;  // audit::what_command, audit::what_read
  std::string why;        // X-Audit-Reason
  std::string detail;     // a JSON object; empty: none
  std::optional<std::uint64_t> rows;
};

constexpr std::string_view act_unaudited =
    "this cannot be written to the audit trail just now, and is not done";

class OperatorLog {
 public:
  virtual ~OperatorLog() = default;
  /// On the control shard. Would an entry be taken now?
  virtual bool takes_entries() noexcept = 0;
  /// On the control shard, of the request that is being handled. The waiter is told once: durable,
  /// or refused, then maybe within this call.
  virtual void note(const net::Exchange& exchange, const OperatorAct& act,
                    journal::Waiter& waiter) = 0;
};

/// X-Audit-Reason of the request, empty without one; nothing: it is wrong, and answered with 400.
std::optional<std::string> audit_reason_of(net::Exchange& exchange);

}  // namespace trialwire
