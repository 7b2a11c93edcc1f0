// SPDX-License-Identifier: Apache-2.0
#include "qol/qol_list.hpp"

#include <array>

#include "qol/qol_rows.hpp"

namespace trialwire::qol {
namespace {

constexpr std::array<storage::ListParameter, 3> parameters{{
    {"patientId", "patient_id"},
    {"trialId", "trial_id"},
    {"questionId", "question_id"},
}};

}  // namespace

const query::ListRoute& answer_list() {
  static const query::ListRoute list{"/v1/epro/qol", {"qol_answers", parameters, flag_names()}};
  return list;
}

}  // namespace trialwire::qol
