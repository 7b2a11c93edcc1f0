// SPDX-License-Identifier: Apache-2.0
// Known after a segment is full; what its signed seal says.
#pragma once
#include <cstdint>

#include "base/hash.hpp"

namespace trialwire::journal {

struct SealedSegment {
  std::uint64_t number = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t next_sequence = 0;
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t payload_bytes = 0;
  Sha256 chain_head{};  // hash of its last header
  friend bool operator==(const SealedSegment&, const SealedSegment&) = default;
};

}  // namespace trialwire::journal
