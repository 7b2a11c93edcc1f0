// SPDX-License-Identifier: Apache-2.0
// Every thread of the process: name, what it does, and its stack, which it is asked for by a signal
// (profile_signal.hpp). For one thread at a time; takes `patience` at most for one that does not
// answer, because it sleeps where no signal reaches it.
#pragma once
#include <chrono>
#include <string>
#include <vector>

#include "telemetry/profile/symbols.hpp"

namespace trialwire::telemetry {

struct ListedThread {
  int id = 0;
  std::string name;
  char state = '?';  // of /proc/PID/stat: R running, S sleeping, D in the disk
  double cpu_seconds = 0;
  std::vector<std::uintptr_t> frames;  // empty: it did not answer, or takes no signals
  bool takes_signals = true;
};

std::vector<ListedThread> list_thread_stacks(
    std::chrono::milliseconds patience = std::chrono::milliseconds(100));

/// One paragraph a thread, a line a frame.
std::string thread_list_text(const std::vector<ListedThread>& threads, Symbols& symbols);

}  // namespace trialwire::telemetry
