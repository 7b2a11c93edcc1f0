// SPDX-License-Identifier: Apache-2.0
// The calling thread asks the scheduler for short turns, and so for early ones: it seldom has much
// to compute, but requests wait for it. Where it shares a core with a busy thread it would else
// start a commit up to 3 ms late. Linux 6.12 and later; before that a waking thread goes first
// anyway, and nothing is asked. Needs no privilege.
#pragma once

namespace trialwire::journal {

/// False: this kernel does not take the wish.
bool ask_for_short_turns() noexcept;

}  // namespace trialwire::journal
