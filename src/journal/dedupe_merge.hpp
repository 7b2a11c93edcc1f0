// SPDX-License-Identifier: Apache-2.0
// Many runs into one, without comparing: range by range of the identities, the inputs' entries are
// taken in order of age and distributed over the partitions of the output. Memory: 192 KiB an input
// and one range (a 4096th of all entries).
#pragma once
#include <vector>

#include "journal/dedupe_run.hpp"

namespace trialwire::journal {

class RunMerge {
 public:
  /// `inputs`: the oldest first. Entries received before `oldest_ms` are left out.
  RunMerge(std::vector<RunReader> inputs, unsigned partition_bits, std::int64_t oldest_ms);

  /// Adds the entries of the next range. False when there is none left.
  Result<bool> step(RunWriter& to);

 private:
  struct Input {
    RunReader reader;
    std::span<const DedupeEntry> left;
    bool ended = false;
  };
  Result<void> gather(Input& input);

  std::vector<Input> inputs_;
  const unsigned sub_bits_;
  const unsigned partition_bits_;
  const std::int64_t oldest_ms_;
  std::uint32_t range_ = 0;
  std::vector<DedupeEntry> gathered_;
  std::vector<std::uint32_t> starts_;
  std::vector<std::uint32_t> order_;
};

}  // namespace trialwire::journal
