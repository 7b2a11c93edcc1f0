// SPDX-License-Identifier: Apache-2.0
// A sink behind the breaker of its destination, which its lanes share: while that fails, a lane
// asks only as often as the breaker lets it, and is otherwise told at once that it was not asked,
// and what the last call of its own was told, so that an operator sees why. What it then does is
// what it always does: it waits, and repeats. A lane whose last call succeeded goes on without
// asking: a delivery takes two good answers (the cursor, then the records), which chance would
// seldom give it while the breaker remembers the outage. A cursor that the sink keeps on this
// machine is read past the breaker, and counts for nothing: it can be read while the destination is
// away.
#pragma once
#include <memory>

#include "pipeline/sink.hpp"
#include "runtime/guard.hpp"

namespace trialwire::pipeline {

/// The guard outlives it.
std::unique_ptr<Sink> guard_sink(std::unique_ptr<Sink> sink, runtime::Guard& guard);

}  // namespace trialwire::pipeline
