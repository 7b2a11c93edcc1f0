// SPDX-License-Identifier: Apache-2.0
// Settings of the audit trail: how much of a flood of refusals is told apart.
#include "config/schema_rows.hpp"

namespace trialwire::config::schema {

void add_audit(std::vector<Descriptor>& rows) {
  using A = AuditSettings;
  rows.push_back(row<&S::audit, &A::refusals>(
      "audit.refusals", integer(16, 1'000'000),
      "Refused tokens are entries by address, reason and name; so many of these, and as many "
      "of the admin port, are told apart; those beyond are counted together."));
  rows.push_back(row<&S::audit, &A::refusals_interval>(
      "audit.refusals_interval", duration(second, hour),
      "The first of each is written at once; those that follow it within so long are one entry "
      "that says how many."));
}

}  // namespace trialwire::config::schema
