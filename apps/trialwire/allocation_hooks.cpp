// SPDX-License-Identifier: Apache-2.0
#include "allocation_hooks.hpp"

#include <cerrno>
#include <cstddef>
#include <new>

#include "telemetry/profile/heap_sampler.hpp"

// A section of its own: a walk over a stack knows by it what is the allocator's.
#define TRIALWIRE_ALLOCATION [[gnu::section("trialwire_allocation"), gnu::noinline]]

// What the C library's own names lead to (glibc exports them for this).
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
void* __libc_malloc(std::size_t size);
void __libc_free(void* object);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* object, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace {

using trialwire::telemetry::heap_allocated;
using trialwire::telemetry::heap_freed;

TRIALWIRE_ALLOCATION void* aligned(std::size_t alignment, std::size_t size) noexcept {
  void* object = __libc_memalign(alignment, size);
  heap_allocated(object, size);
  return object;
}

}  // namespace

namespace trialwire {

void use_allocation_hooks() noexcept {
  telemetry::heap_hooks_are_there();
}

}  // namespace trialwire

extern "C" {

TRIALWIRE_ALLOCATION void* malloc(std::size_t size) noexcept {
  void* object = __libc_malloc(size);
  heap_allocated(object, size);
  return object;
}

TRIALWIRE_ALLOCATION void free(void* object) noexcept {
  heap_freed(object);
  __libc_free(object);
}

TRIALWIRE_ALLOCATION void* calloc(std::size_t count, std::size_t size) noexcept {
  void* object = __libc_calloc(count, size);
  heap_allocated(object, count * size);
  return object;
}

TRIALWIRE_ALLOCATION void* realloc(void* object, std::size_t size) noexcept {
  heap_freed(object);
  void* moved = __libc_realloc(object, size);
  heap_allocated(moved, size);
  return moved;
}

TRIALWIRE_ALLOCATION void* memalign(std::size_t alignment, std::size_t size) noexcept {
  return aligned(alignment, size);
}

TRIALWIRE_ALLOCATION void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  return aligned(alignment, size);
}

TRIALWIRE_ALLOCATION int posix_memalign(void** object, std::size_t alignment,
                                        std::size_t size) noexcept {
  if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0)
    return EINVAL;
  void* made = aligned(alignment, size);
  if (made == nullptr) return ENOMEM;
  *object = made;
  return 0;
}

}  // extern "C"

// The standard library's, which keep no frame pointer: who called them would not be known.
TRIALWIRE_ALLOCATION void* operator new(std::size_t size) {
  for (;;) {
    void* object = __libc_malloc(size == 0 ? 1 : size);
    if (object != nullptr) {
      heap_allocated(object, size);
      return object;
    }
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}

TRIALWIRE_ALLOCATION void operator delete(void* object) noexcept {
  heap_freed(object);
  __libc_free(object);
}

TRIALWIRE_ALLOCATION void operator delete(void* object, std::size_t) noexcept {
  heap_freed(object);
  __libc_free(object);
}
