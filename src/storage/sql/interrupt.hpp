// SPDX-License-Identifier: Apache-2.0
// Ends the waits of a connection from another thread: what waits for the server also waits for
// this. The client library's own objects are never touched by a second thread.
#pragma once
#include <chrono>

namespace trialwire::storage {

class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// Any thread, any number of times; never blocks. It stays raised.
  void raise() noexcept;
  bool raised() const noexcept;
  /// Readable once it is raised. -1 when the process is out of descriptors: then nobody is woken,
  /// and waits end at their deadlines.
  int descriptor() const noexcept { return descriptor_; }

 private:
  int descriptor_;
};

/// How long a call to a server may take.
struct Patience {
  const Interrupt* interrupt = nullptr;  // raised: cancelled
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

}  // namespace trialwire::storage
