// SPDX-License-Identifier: Apache-2.0
#include "operator_log.hpp"

#include "ingest/field_errors.hpp"
#include "query/audit_reason.hpp"

namespace trialwire {

std::optional<std::string> audit_reason_of(net::Exchange& exchange) {
  ingest::FieldErrors errors(1);
  const std::string_view why = query::audit_reason(exchange.request(), errors);
  if (errors.empty()) return std::string(why);
  std::string summary;
  errors.append_summary(summary);
  exchange.fail({ErrorCode::invalid_argument, summary});
  return std::nullopt;
}

}  // namespace trialwire
