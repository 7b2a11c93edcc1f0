// SPDX-License-Identifier: Apache-2.0
// GET /v1/audit, as a list of query/, of the role `auditor`. Parameters of its own: who, what,
// subject, studyId, siteId.
#pragma once
#include "query/record_lists.hpp"

namespace trialwire::audit {

const query::ListRoute& audit_list();

}  // namespace trialwire::audit
