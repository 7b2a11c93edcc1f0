// SPDX-License-Identifier: Apache-2.0
// A thread's stack, read from within a signal handler. The program's own code keeps frame pointers
// (cmake/toolchain.cmake); libraries of the system do not. Every word is read through the kernel
// (process_vm_readv of this process), so that a chain that leads nowhere ends the walk and nothing
// else. No locks, no allocation, no unwinding tables.
//
// Code without frame pointers either leaves the register alone, and then it is its caller's, or
// uses it for something else. What called it is looked for on the stack: the first word that is the
// return address of a call of a library, and below it the saved register. A word that was left
// there by a call before can be taken for it (docs/decisions/profiles.md).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace trialwire::telemetry {

/// Frames of one stack; what is further out is not seen.
inline constexpr std::size_t frames_max = 96;
using Frames = std::array<std::uintptr_t, frames_max>;

struct Registers {
  std::uintptr_t pc = 0;
  std::uintptr_t sp = 0;
  std::uintptr_t fp = 0;
};

/// Once, before any walk; not in a handler. Later calls do nothing.
void prepare_stack_walks();

/// Of a signal handler's third argument.
Registers interrupted_registers(const void* context) noexcept;

/// Addresses, the innermost first: the first is where it was, all others are return addresses.
/// How many there are; at least one. Async-signal-safe.
std::size_t walk_stack(const Registers& from, std::span<std::uintptr_t> frames) noexcept;

/// The stack of who calls this, without this function.
[[gnu::noinline]] std::size_t walk_own_stack(std::span<std::uintptr_t> frames) noexcept;

}  // namespace trialwire::telemetry
