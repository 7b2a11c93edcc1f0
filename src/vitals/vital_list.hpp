// SPDX-License-Identifier: Apache-2.0
// GET /v1/vitals, as a list of query/. Parameters of its own: deviceId, patientId, trialId.
#pragma once
#include "query/record_lists.hpp"

namespace trialwire::vitals {

const query::ListRoute& vital_list();

}  // namespace trialwire::vitals
