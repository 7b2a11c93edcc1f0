// SPDX-License-Identifier: Apache-2.0
// Where the process spends its processor time. Each thread has a timer of its own processor time,
// whose signal has it note its stack: what sleeps is not disturbed, what runs is met in proportion
// to what it uses. One at a time in a process; between profiles nothing of it is left but the
// handler.
//
// Threads: used by one, which need not be the one that made it. Those that begin later are followed
// from the next `collect` on; those that block the signal give their processor time alone.
// Bounds: `slots` stacks between two calls of `collect`, `stacks_max` different ones in all; what
// finds no room is counted in Profile::lost.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>

#include "base/error.hpp"
#include "telemetry/profile/profile.hpp"

namespace trialwire::telemetry {

struct CpuSamplerOptions {
  std::chrono::nanoseconds period{10'000'000};  // of a thread's processor time
  std::size_t stacks_max = 16'384;
};

class CpuSampler {
 public:
  static constexpr std::size_t slots = 1'024;
  /// How often `collect` is to be called.
  static constexpr std::chrono::milliseconds interval{100};

  /// Begins to sample. Error: conflict, there is one already.
  static Result<std::unique_ptr<CpuSampler>> start(const CpuSamplerOptions& options);
  /// As `finish`, without the profile.
  ~CpuSampler();
  CpuSampler(const CpuSampler&) = delete;
  CpuSampler& operator=(const CpuSampler&) = delete;

  /// Takes over what was noted, and finds new threads.
  void collect();
  /// Ends sampling.
  Profile finish();

 private:
  struct State;
  explicit CpuSampler(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::telemetry
