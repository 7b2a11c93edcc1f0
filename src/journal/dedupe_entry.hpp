// SPDX-License-Identifier: Apache-2.0
// What is remembered of a stored record so that a retry of it is answered with its first receipt.
// The same 40 bytes in memory and in a run file.
#pragma once
#include <cstdint>

#include "base/hash.hpp"

namespace trialwire::journal {

struct DedupeEntry {
  Hash128 identity;
  std::uint64_t content_hash = 0;
  std::uint64_t sequence = 0;
  // Milliseconds of the time of receipt (42 bits: until the year 2109) and the epoch (22 bits):
  // with the sequence, all that the record's id is derived from.
  std::uint64_t origin = 0;

  static constexpr unsigned epoch_bits = 22;
  static constexpr std::uint64_t pack(std::int64_t received_ns, std::uint32_t epoch) noexcept {
    return static_cast<std::uint64_t>(received_ns / 1'000'000) << epoch_bits |
           (epoch & ((1u << epoch_bits) - 1));
  }
  std::int64_t received_ms() const noexcept {
    return static_cast<std::int64_t>(origin >> epoch_bits);
  }
  std::uint32_t epoch() const noexcept {
    return static_cast<std::uint32_t>(origin & ((1u << epoch_bits) - 1));
  }
};
static_assert(sizeof(DedupeEntry) == 40);

/// A record without identity (audit lines and the like) is never a duplicate.
inline bool has_identity(const Hash128& identity) noexcept {
  return (identity.low | identity.high) != 0;
}

/// Maps a uniform word onto 0 … n-1, monotonically: neighbours in a run are neighbours in memory.
inline std::uint64_t scale_to(std::uint64_t word, std::uint64_t n) noexcept {
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(word) * n) >> 64);
}

}  // namespace trialwire::journal
