// SPDX-License-Identifier: Apache-2.0
// The page of `trialwire status`, from two looks at /metrics. Pure.
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include "metrics_text.hpp"

namespace trialwire {

struct StatusLooks {
  const MetricsPage& before;
  const MetricsPage& now;
  std::chrono::duration<double> apart;  // 0: there was no look before, rates are not known
  std::string_view readiness = {};      // what /readyz says, a line each part
};

struct StatusStyle {
  bool color = false;  // for a terminal
};

/// Intake and journal, a line each, a table with a line for each lane of each sink, then whatever
/// is not ready and why. What is not known is a dash.
std::string status_page(const StatusLooks& looks, const StatusStyle& style);

}  // namespace trialwire
