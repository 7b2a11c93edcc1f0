// SPDX-License-Identifier: Apache-2.0
// What a seed decides before its run begins.
#pragma once
#include <cstdint>

#include "journal/journal.hpp"
#include "support/faulty_files.hpp"

namespace trialwire::fault {

constexpr std::uint64_t budget_unbounded = 1ULL << 30U;

struct Plan {
  std::uint64_t seed = 1;
  support::FaultyOptions disk;
  journal::Options journal;
  std::uint32_t shards = 2;
  std::uint32_t crashes = 2;       // at least
  std::uint32_t batches = 50;      // at least
  std::size_t record_bytes = 400;  // upper bound of most
  unsigned groups_a_turn = 4;
  unsigned sink_pause_percent = 0;  // of the rounds in which the sink is told to wait
  bool dedupe = true;
  bool threads = false;     // each shard on its own
  bool disk_fills = false;  // once
};

Plan plan_for(std::uint64_t seed);

}  // namespace trialwire::fault
