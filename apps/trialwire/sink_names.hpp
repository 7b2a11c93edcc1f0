// SPDX-License-Identifier: Apache-2.0
// What the sinks are called in settings, metrics, `trialwire status` and dead letters.
#pragma once
#include <array>
#include <string>

namespace trialwire {

inline const std::array<std::string, 5> sink_names{"sqlite", "postgres", "mysql", "kafka", "audit"};

}  // namespace trialwire
