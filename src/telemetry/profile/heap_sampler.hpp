// SPDX-License-Identifier: Apache-2.0
// Which code holds the memory that is in use: one allocation in about `interval` bytes is
// remembered with its stack until it is freed. Process-wide, as the heap is. The program's malloc
// and operator new (apps/trialwire/allocation_hooks.cpp) call `heap_allocated` and `heap_freed`;
// while it is off and nothing is remembered, each is one load and a branch that is not taken.
//
// Threads: any. A sampled allocation, and the release of what may be one, take a lock.
// Bounds: `heap_stacks_max` different stacks and `heap_objects_max` remembered objects, 10 MiB of
// address space in all, touched as it is used; what finds no room is counted as lost.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/error.hpp"
#include "telemetry/profile/profile.hpp"

namespace trialwire::telemetry {

inline constexpr std::size_t heap_stacks_max = 8'192;
inline constexpr std::size_t heap_objects_max = 32'768;

/// Begins to sample, one point per `interval` bytes on average; what was remembered is forgotten.
/// Errors: conflict, it is on already; not_implemented, this program's allocations do not come by
/// here (a sanitizer's do not); unavailable, no address space.
Result<void> start_heap_samples(std::uint64_t interval);
/// What is in use is remembered no longer.
void stop_heap_samples() noexcept;
bool heap_samples_on() noexcept;
/// What was allocated since the start, and what of it is in use. Empty while it is off.
Profile heap_profile();

struct HeapSampleState {
  std::size_t stacks = 0;
  std::size_t objects = 0;
  std::uint64_t lost = 0;
};
HeapSampleState heap_sample_state() noexcept;

/// Said once by the program whose allocator calls those below.
void heap_hooks_are_there() noexcept;

namespace heap {

extern constinit std::atomic<bool> watching;
/// Bytes that this thread may still allocate before one is sampled.
extern constinit thread_local std::int64_t left;

void sample(void* object, std::size_t size) noexcept;
void forget(void* object) noexcept;

}  // namespace heap

inline void heap_allocated(void* object, std::size_t size) noexcept {
  if (!heap::watching.load(std::memory_order_relaxed)) [[likely]]
    return;
  heap::left -= static_cast<std::int64_t>(size);
  if (heap::left < 0 && object != nullptr) heap::sample(object, size);
}

/// Before the memory can be given to someone else.
inline void heap_freed(void* object) noexcept {
  if (!heap::watching.load(std::memory_order_relaxed)) [[likely]]
    return;
  heap::forget(object);
}

}  // namespace trialwire::telemetry
