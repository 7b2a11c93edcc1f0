// SPDX-License-Identifier: Apache-2.0
// GET /v1/metrics, as a list of query/. Parameters of its own: metricId, studyId, siteId.
#pragma once
#include "query/record_lists.hpp"

namespace trialwire::trial {

const query::ListRoute& metric_list();

}  // namespace trialwire::trial
