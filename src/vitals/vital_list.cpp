// SPDX-License-Identifier: Apache-2.0
#include "vitals/vital_list.hpp"

#include <array>

#include "vitals/vital_rows.hpp"

namespace trialwire::vitals {
namespace {

constexpr std::array<storage::ListParameter, 3> parameters{{
    {"deviceId", "device_id"},
    {"patientId", "patient_id"},
    {"trialId", "trial_id"},
}};

}  // namespace

const query::ListRoute& vital_list() {
  static const query::ListRoute list{"/v1/vitals", {"vital_signs", parameters, flag_names()}};
  return list;
}

}  // namespace trialwire::vitals
