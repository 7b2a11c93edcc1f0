// SPDX-License-Identifier: Apache-2.0
// SIGPROF, by which a thread is asked where it is: by the timers of a CPU profile (cpu_sampler.hpp)
// and for a list of threads (thread_list.hpp). Threads that block it cannot be asked. Its handler
// stays for the life of the process: a signal that comes late finds nobody who wants it.
#pragma once
#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "telemetry/profile/stack_walk.hpp"

namespace trialwire::telemetry {

inline constexpr int profile_signal = SIGPROF;

/// Called in the handler, on the thread that was interrupted; async-signal-safe.
class StackTaker {
 public:
  virtual void take(const Registers& at, const siginfo_t& why) noexcept = 0;

 protected:
  ~StackTaker() = default;
};

/// Installs the handler, once; before it a SIGPROF ends the process.
void prepare_profile_signal();
/// Who is asked for the signals of timers; null: nobody. When this returns no thread is within
/// `take` of the one before.
void on_profile_timer(StackTaker* taker) noexcept;
/// The same for signals that this process sent itself.
void on_profile_question(StackTaker* taker) noexcept;

struct ThreadName {
  pid_t id = 0;
  std::string name;
  bool blocks_signal = false;  // it cannot be asked
};
/// Threads of this process now, by id.
std::vector<ThreadName> list_threads();

}  // namespace trialwire::telemetry
