// SPDX-License-Identifier: Apache-2.0
// Work that may wait: the calling thread runs when nothing else wants the processor, and its disk
// requests come last where the I/O scheduler knows of priorities.
#pragma once

namespace trialwire::pipeline {

/// SCHED_IDLE, nice 19, lowest best-effort I/O priority, for the calling thread only. False when
/// the kernel refused any of them; the thread then runs as before in that respect.
bool enter_background() noexcept;

/// Back to normal for another thread of this process, which must not have ended: it is waited for.
/// False when the kernel does not let an account that is not privileged do that (RLIMIT_NICE).
bool leave_background(int thread) noexcept;

}  // namespace trialwire::pipeline
