// SPDX-License-Identifier: Apache-2.0
// Work that may wait: the calling thread runs when nothing else wants the processor, and its disk
// requests come last where the I/O scheduler knows of priorities.
#pragma once

namespace trialwire::pipeline {

/// SCHED_IDLE, nice 19, lowest best-effort I/O priority, for the calling thread only. Where the
/// kernel would not let this account undo that (neither CAP_SYS_NICE nor RLIMIT_NICE), nice 10 and
/// no SCHED_IDLE: on a busy machine such a thread may not get to its end for many seconds, and
/// neither does the process. False when the kernel refused any of them; the thread then runs as
/// before in that respect.
bool enter_background() noexcept;

/// The account may undo SCHED_IDLE and nice 19.
bool may_leave_background() noexcept;

/// Back to the process's priority for another thread of it, which must not have ended: it is waited
/// for. False when the kernel does not let this account do that.
bool leave_background(int thread) noexcept;

}  // namespace trialwire::pipeline
