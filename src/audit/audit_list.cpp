// SPDX-License-Identifier: Apache-2.0
#include "audit/audit_list.hpp"

#include <array>

namespace trialwire::audit {
namespace {

constexpr std::array<storage::ListParameter, 5> parameters{{
    {"who", "actor", 255},
    {"what", "activity"},
    {"subject", "patient_id"},
    {"studyId", "trial_id"},
    {"siteId", "site_id", 255},
}};

}  // namespace

const query::ListRoute& audit_list() {
  static const query::ListRoute list{"/v1/audit", {"audit_records", parameters, {}}, "auditor"};
  return list;
}

}  // namespace trialwire::audit
