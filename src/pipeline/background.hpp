// SPDX-License-Identifier: Apache-2.0
// Work that may wait: the calling thread runs when nothing else wants the processor, and its disk
// requests come last where the I/O scheduler knows of priorities.
#pragma once

namespace trialwire::pipeline {

/// SCHED_IDLE, nice 19, lowest best-effort I/O priority, for the calling thread only. False when
/// the kernel refused any of them; the thread then runs as before in that respect.
bool enter_background() noexcept;

}  // namespace trialwire::pipeline
