// SPDX-License-Identifier: Apache-2.0
#include "trial/metric_list.hpp"

#include <array>

#include "trial/metric_rows.hpp"

namespace trialwire::trial {
namespace {

constexpr std::array<storage::ListParameter, 3> parameters{{
    {"metricId", "metric_id", 255},
    {"studyId", "trial_id"},
    {"siteId", "site_id", 255},
}};

}  // namespace

const query::ListRoute& metric_list() {
  static const query::ListRoute list{"/v1/metrics", {"trial_metrics", parameters, flag_names()}};
  return list;
}

}  // namespace trialwire::trial
