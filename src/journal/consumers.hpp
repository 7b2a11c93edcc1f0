// SPDX-License-Identifier: Apache-2.0
// What the consumers of a journal say of it, to whoever opens or inspects it. Plain values; who
// asks the databases is not known here.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/uuid.hpp"

namespace trialwire::journal {

/// Everything before `next_sequence` was read from this journal, and is durable elsewhere or noted.
struct ConsumerCursor {
  std::string consumer;  // "sqlite/0", or the file of a note
  std::uint64_t next_sequence = 1;
};

/// A cursor of another journal, at a destination that has none of this one.
struct OtherCursor {
  std::string consumer;
  std::string journal;
  std::uint64_t next_sequence = 1;
};

struct Consumers {
  /// What some consumer does not have durably begins here: from there on every batch is verified
  /// whole at start, before it by header alone. 0: all are verified.
  std::uint64_t durable_below = 0;
  std::vector<ConsumerCursor> cursors;
  std::vector<OtherCursor> others;
  std::vector<std::string> silent;  // why a destination does not say where it is
  std::vector<std::string> absent;  // destinations that are not there yet

  /// The one that has read furthest; null when none is known.
  const ConsumerCursor* furthest() const noexcept {
    const auto most = std::ranges::max_element(cursors, {}, &ConsumerCursor::next_sequence);
    return most == cursors.end() ? nullptr : &*most;
  }
};

/// Called once, on the thread that opens, when the journal's id is known.
using AskConsumers = std::function<Consumers(const Uuid& journal)>;

}  // namespace trialwire::journal
