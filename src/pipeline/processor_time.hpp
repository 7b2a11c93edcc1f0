// SPDX-License-Identifier: Apache-2.0
// What the scheduler says of the calling thread: how long it ran, and how long it was ready to run
// while others did.
#pragma once
#include <chrono>
#include <optional>
#include <string_view>

namespace trialwire::pipeline {

struct ProcessorTime {
  std::chrono::nanoseconds ran{};
  std::chrono::nanoseconds waited{};  // ready, but not running

  friend ProcessorTime operator-(const ProcessorTime& later,
                                 const ProcessorTime& earlier) noexcept {
    return {later.ran - earlier.ran, later.waited - earlier.waited};
  }
};

/// A line of /proc/<pid>/schedstat: nanoseconds run, nanoseconds waited, stretches. Nothing when it
/// is not one.
std::optional<ProcessorTime> parse_schedstat(std::string_view line) noexcept;

/// Since the thread began. Made on the thread that it is about, and read there; holds one file
/// open. A reading is a system call or two, about a microsecond.
class ProcessorClock {
 public:
  ProcessorClock() noexcept;
  ~ProcessorClock();
  ProcessorClock(const ProcessorClock&) = delete;
  ProcessorClock& operator=(const ProcessorClock&) = delete;

  /// Nothing where the kernel does not tell (no /proc, or built without scheduler statistics).
  std::optional<ProcessorTime> read() const noexcept;

 private:
  int file_;
};

}  // namespace trialwire::pipeline
