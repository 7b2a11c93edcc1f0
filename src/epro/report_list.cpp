// SPDX-License-Identifier: Apache-2.0
#include "epro/report_list.hpp"

#include <array>

#include "epro/report_rows.hpp"

namespace trialwire::epro {
namespace {

constexpr std::array<storage::ListParameter, 3> parameters{{
    {"patientId", "patient_id"},
    {"trialId", "trial_id"},
    {"siteId", "site_id", 255},
}};

}  // namespace

const query::ListRoute& report_list() {
  static const query::ListRoute list{"/v1/epro/reports",
                                     {"epro_reports", parameters, report_flag_names()}};
  return list;
}

}  // namespace trialwire::epro
