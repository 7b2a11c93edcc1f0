// SPDX-License-Identifier: Apache-2.0
// GET /v1/epro/qol, as a list of query/. Parameters of its own: patientId, trialId, questionId.
#pragma once
#include "query/record_lists.hpp"

namespace trialwire::qol {

const query::ListRoute& answer_list();

}  // namespace trialwire::qol
