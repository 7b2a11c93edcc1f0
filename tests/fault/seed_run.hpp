// SPDX-License-Identifier: Apache-2.0
// One seed: a real journal with at least two shards and a sink on a faulty disk, crashed at least
// twice, compared after every restart with what was sent and answered.
#pragma once
#include <cstdint>
#include <string>

namespace trialwire::fault {

struct SeedCounts {
  std::uint64_t starts = 0, power_cuts = 0, kills = 0, clean_stops = 0, fatal = 0;
  std::uint64_t damage_refused = 0;  // of flipped bits; the others met nothing that counts
  std::uint64_t batches = 0, segments = 0, deleted = 0;
  std::uint64_t records = 0, acknowledged = 0, duplicates = 0, conflicts = 0, refused = 0;
};

struct SeedResult {
  std::string failure;  // empty: passed
  SeedCounts counts;
};

SeedResult run_seed(std::uint64_t seed);

}  // namespace trialwire::fault
