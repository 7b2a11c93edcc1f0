// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/heap_sampler.hpp"

#include <sys/mman.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <mutex>

#include "telemetry/profile/stack_walk.hpp"

namespace trialwire::telemetry {
namespace heap {

constinit std::atomic<bool> watching{false};
constinit thread_local std::int64_t left = 0;

}  // namespace heap

namespace {

constexpr std::size_t object_places = 2 * heap_objects_max;
constexpr std::size_t stack_places = 2 * heap_stacks_max;
constexpr std::size_t filter_places = 1 << 16;
constexpr std::uint32_t none = 0xFFFFFFFF;

struct Stack {
  std::uint64_t hash;
  std::uint32_t count;
  std::int64_t in_use;
  std::int64_t bytes_in_use;
  std::int64_t all;
  std::int64_t bytes_of_all;
  Frames frames;
};

struct Object {
  std::uintptr_t address;  // 0: none
  std::uint64_t size;
  std::uint32_t stack;
};

/// Mapped, not allocated: the allocator asks for it. Zero is the state of nothing remembered.
struct Tables {
  std::array<Stack, heap_stacks_max> stacks;
  std::array<std::uint32_t, stack_places> stack_at;  // index + 1; open addressing
  std::array<Object, object_places> objects;         // open addressing
  /// How many remembered objects have this hash: looked at without the lock.
  std::array<std::atomic<std::uint16_t>, filter_places> filter;
};

struct Sampler {
  std::mutex lock;           // allocates nothing; no signal handler takes it
  Tables* tables = nullptr;  // kept once made: another thread may look at the filter
  std::size_t stacks = 0;
  std::size_t objects = 0;
  std::uint64_t lost = 0;
  std::int64_t began_unix_ns = 0;
  std::atomic<std::uint64_t> interval{0};
  std::atomic<std::uint64_t> run{0};  // counts the starts
  std::atomic<bool> hooked{false};
};
constinit Sampler sampler;

constinit thread_local bool busy = false;
constinit thread_local std::uint64_t of_run = 0;
constinit thread_local std::uint64_t dice = 0;

/// This thread's own allocations meanwhile are not sampled.
class Busy {
 public:
  Busy() noexcept : error_(errno) { busy = true; }
  ~Busy() {
    busy = false;
    errno = error_;  // who allocates between a failed call and its errno sees it unchanged
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  const int error_;
};

std::uint64_t mix(std::uint64_t x) noexcept {  // the finaliser of SplitMix64
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

/// Bytes to the next point of a Poisson process with one per `interval` bytes.
std::int64_t next_gap(std::uint64_t interval) noexcept {
  if (dice == 0) dice = mix(reinterpret_cast<std::uintptr_t>(&dice)) | 1;
  dice += 0x9E3779B97F4A7C15;
  const double uniform = (static_cast<double>(mix(dice) >> 11) + 1) * 0x1p-53;  // (0, 1]
  return static_cast<std::int64_t>(-std::log(uniform) * static_cast<double>(interval)) + 1;
}

std::size_t place_of(std::uintptr_t address) noexcept {
  return mix(address) % object_places;
}
std::atomic<std::uint16_t>& filter_of(std::uintptr_t address) noexcept {
  return sampler.tables->filter[mix(address) >> 48];
}

std::uint64_t hash_of(std::span<const std::uintptr_t> frames) noexcept {
  std::uint64_t hash = frames.size();
  for (const std::uintptr_t frame : frames) hash = mix(hash ^ frame);
  return hash;
}

/// Of these frames, made when there is room; `none` otherwise. Under the lock.
std::uint32_t stack_of(std::span<const std::uintptr_t> frames) noexcept {
  Tables& tables = *sampler.tables;
  const std::uint64_t hash = hash_of(frames);
  std::size_t place = hash % stack_places;
  for (; tables.stack_at[place] != 0; place = (place + 1) % stack_places) {
    const std::uint32_t index = tables.stack_at[place] - 1;
    const Stack& known = tables.stacks[index];
    if (known.hash == hash && known.count == frames.size() &&
        std::ranges::equal(frames, std::span(known.frames).first(known.count)))
      return index;
  }
  if (sampler.stacks == heap_stacks_max) return none;
  const auto index = static_cast<std::uint32_t>(sampler.stacks++);
  Stack& made = tables.stacks[index];
  made = {};
  made.hash = hash;
  made.count = static_cast<std::uint32_t>(frames.size());
  std::ranges::copy(frames, made.frames.begin());
  tables.stack_at[place] = index + 1;
  return index;
}

void remember(std::uintptr_t address, std::size_t size, std::uint32_t stack) noexcept {
  Tables& tables = *sampler.tables;
  std::size_t place = place_of(address);
  while (tables.objects[place].address != 0) place = (place + 1) % object_places;
  tables.objects[place] = {address, size, stack};
  filter_of(address).fetch_add(1, std::memory_order_relaxed);
  ++sampler.objects;
  Stack& of = tables.stacks[stack];
  ++of.in_use;
  ++of.all;
  of.bytes_in_use += static_cast<std::int64_t>(size);
  of.bytes_of_all += static_cast<std::int64_t>(size);
}

/// Backward-shift deletion: no object behind the gap may be where a search would not come.
void close_gap(std::size_t gap) noexcept {
  auto& objects = sampler.tables->objects;
  for (std::size_t at = (gap + 1) % object_places; objects[at].address != 0;
       at = (at + 1) % object_places) {
    const std::size_t home = place_of(objects[at].address);
    if ((at - home) % object_places < (at - gap) % object_places) continue;
    objects[gap] = objects[at];
    gap = at;
  }
  objects[gap] = {};
}

void clear() noexcept {
  // Fresh zero pages in place of what was written.
  ::madvise(sampler.tables, sizeof(Tables), MADV_DONTNEED);
  sampler.stacks = 0;
  sampler.objects = 0;
  sampler.lost = 0;
}

}  // namespace

void heap::sample(void* object, std::size_t size) noexcept {
  if (busy) return;
  const Busy guard;
  const std::uint64_t interval = sampler.interval.load(std::memory_order_relaxed);
  const std::uint64_t run = sampler.run.load(std::memory_order_acquire);
  left = next_gap(std::max<std::uint64_t>(interval, 1));
  // The first gap of a thread begins where sampling does.
  if (of_run != run) {
    of_run = run;
    left -= static_cast<std::int64_t>(size);
    if (left >= 0) return;
    left = next_gap(std::max<std::uint64_t>(interval, 1));
  }
  Frames frames{};
  const std::size_t count = walk_own_stack(frames);
  const std::scoped_lock lock(sampler.lock);
  if (!watching.load(std::memory_order_relaxed) || count < 2) return;
  const auto callers = std::span(frames).subspan(1, count - 1);  // without this function
  const std::uint32_t stack = sampler.objects < heap_objects_max ? stack_of(callers) : none;
  if (stack == none) {
    ++sampler.lost;
    return;
  }
  remember(reinterpret_cast<std::uintptr_t>(object), size, stack);
}

void heap::forget(void* object) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(object);
  if (address == 0 || filter_of(address).load(std::memory_order_relaxed) == 0) return;
  const std::scoped_lock lock(sampler.lock);
  if (!watching.load(std::memory_order_relaxed)) return;
  auto& objects = sampler.tables->objects;
  std::size_t place = place_of(address);
  while (objects[place].address != 0 && objects[place].address != address)
    place = (place + 1) % object_places;
  if (objects[place].address == 0) return;
  Stack& stack = sampler.tables->stacks[objects[place].stack];
  --stack.in_use;
  stack.bytes_in_use -= static_cast<std::int64_t>(objects[place].size);
  filter_of(address).fetch_sub(1, std::memory_order_relaxed);
  close_gap(place);
  --sampler.objects;
}

void heap_hooks_are_there() noexcept {
  sampler.hooked.store(true);
}

Result<void> start_heap_samples(std::uint64_t interval) {
  if (!sampler.hooked.load()) {
    return fail(ErrorCode::not_implemented, "this program's allocations cannot be sampled");
  }
  prepare_stack_walks();
  const Busy guard;
  const std::scoped_lock lock(sampler.lock);
  if (heap::watching.load()) return fail(ErrorCode::conflict, "allocations are sampled already");
  if (sampler.tables == nullptr) {
    void* mapped = ::mmap(nullptr, sizeof(Tables), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) return fail(ErrorCode::unavailable, "no memory for heap samples");
    sampler.tables = static_cast<Tables*>(mapped);
  }
  const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
  sampler.began_unix_ns = now.count();
  sampler.interval.store(interval);
  sampler.run.fetch_add(1);
  heap::watching.store(true);
  return {};
}

void stop_heap_samples() noexcept {
  const Busy guard;
  const std::scoped_lock lock(sampler.lock);
  if (!heap::watching.exchange(false)) return;
  clear();
}

bool heap_samples_on() noexcept {
  return heap::watching.load();
}

Profile heap_profile() {
  const Busy guard;
  Profile made{.kind = ProfileKind::heap};
  // With room for all beforehand: nothing is allocated, so nothing freed, under the lock.
  std::vector<Stack> stacks;
  stacks.reserve(heap_stacks_max);
  {
    const std::scoped_lock lock(sampler.lock);
    if (!heap::watching.load()) return made;
    made.began_unix_ns = sampler.began_unix_ns;
    made.period = static_cast<std::int64_t>(sampler.interval.load());
    made.lost = sampler.lost;
    const auto& known = sampler.tables->stacks;
    stacks.assign(known.begin(), known.begin() + static_cast<std::ptrdiff_t>(sampler.stacks));
  }
  const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
  made.duration_ns = now.count() - made.began_unix_ns;
  for (const Stack& stack : stacks) {
    made.samples.push_back({.frames = {stack.frames.begin(), stack.frames.begin() + stack.count},
                            .thread = {},
                            .count = stack.in_use,
                            .amount = stack.bytes_in_use,
                            .count_total = stack.all,
                            .amount_total = stack.bytes_of_all});
  }
  return made;
}

HeapSampleState heap_sample_state() noexcept {
  const Busy guard;
  const std::scoped_lock lock(sampler.lock);
  return {sampler.stacks, sampler.objects, sampler.lost};
}

}  // namespace trialwire::telemetry
