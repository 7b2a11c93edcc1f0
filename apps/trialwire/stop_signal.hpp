// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGINT, as the main thread waits for them, and SIGUSR1 and SIGUSR2, which ask it for
// something meanwhile. Process-wide, as signals are: one at a time.
//   starting   a signal ends the process at once: nothing was acknowledged
//   serving    the first signal ends `wait`
//   stopping   another one, or the time limit, ends the process at once
//   committed  likewise, but the limit is no failure: what is acknowledged is on disk, and a sink
//              that is cut off in its transaction repeats it at the next start
// Whatever ends the process here first removes the file that says where it listens. SIGUSR1 and
// SIGUSR2 are kept while starting, and nothing from stopping on.
#pragma once
#include <chrono>
#include <filesystem>
#include <functional>

namespace trialwire {

class StopSignal {
 public:
  /// Installs the handlers; SIGPIPE is ignored from here on.
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// From starting to serving: from here on a signal is kept for `wait`.
  void arm() noexcept;
  /// Returns the signal's number; the process is stopping then. Until then `asked` is called with
  /// SIGUSR1 or SIGUSR2, on this thread; several that come together are one.
  int wait(const std::function<void(int)>& asked = {});
  /// Ends the process if it still runs after this time.
  void limit(std::chrono::nanoseconds time);
  /// The journal has committed all it will. Any thread.
  static void committed() noexcept;
  /// What a signal or the time limit removes before it ends the process; empty: nothing. Of one
  /// whose path is longer than the system's limit nothing is removed. The main thread.
  static void removes(const std::filesystem::path& file) noexcept;
};

}  // namespace trialwire
