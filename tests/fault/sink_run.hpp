// SPDX-License-Identifier: Apache-2.0
// One seed of the sinks' tests: a journal in memory, several lanes, a transactional destination and
// its dead letters, crashed at a counted step and started again, until all is delivered.
#pragma once
#include <cstdint>
#include <string>

namespace trialwire::fault {

struct SinkCounts {
  std::uint64_t starts = 0, crashes = 0, failures = 0, records = 0, rows = 0, letters = 0,
                transactions = 0, lane_changes = 0;
};

struct SinkResult {
  std::string failure;  // empty: what was promised was kept
  SinkCounts counts;
};

SinkResult run_sink_seed(std::uint64_t seed);

}  // namespace trialwire::fault
