// SPDX-License-Identifier: Apache-2.0
// What is older than archive.keep leaves the archive, oldest first; nothing younger ever does.
//
// Age counts from the later of sealing and archiving. Where the newest segment is too old as well,
// nothing is removed: then it is the clock that is wrong, or nobody needs the room.
// Durable when: the mark `expired.json` is written before a segment's objects go, so that one that
// is missing without it was taken away by someone else. What a killed process left is finished.
#pragma once
#include <chrono>
#include <cstdint>

#include "archive/archive.hpp"

namespace trialwire::archive {

struct ExpiryOptions {
  std::chrono::nanoseconds keep{};
  std::int64_t now_ns = 0;
  std::uint64_t segments_before = 0;  // those from this number on are in the journal: they stay
};

/// Returns how many segments were removed; each is logged.
Result<std::uint64_t> expire(const Archive& archive, const ExpiryOptions& options);

}  // namespace trialwire::archive
