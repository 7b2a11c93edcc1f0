// SPDX-License-Identifier: Apache-2.0
// GET /v1/epro/reports, as a list of query/. Parameters of its own: patientId, trialId, siteId.
#pragma once
#include "query/record_lists.hpp"

namespace trialwire::epro {

const query::ListRoute& report_list();

}  // namespace trialwire::epro
