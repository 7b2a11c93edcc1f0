// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/cpu_sampler.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "telemetry/profile/profile_signal.hpp"

namespace trialwire::telemetry {
namespace {

using Clock = std::chrono::steady_clock;

std::atomic<bool> taken{false};

/// The clock of another thread's processor time, as the kernel numbers it (CPUCLOCK_SCHED of one
/// thread, include/linux/posix-timers.h).
clockid_t processor_clock(pid_t thread) noexcept {
  return static_cast<clockid_t>(~static_cast<unsigned>(thread) << 3 | 6U);
}

std::int64_t processor_ns(pid_t thread) noexcept {
  timespec time{};
  if (::clock_gettime(processor_clock(thread), &time) != 0) return 0;
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

/// A stack that a handler writes and `collect` takes over.
struct Slot {
  enum State : std::uint8_t { empty, writing, full };
  std::atomic<State> state{empty};
  std::uint32_t thread = 0;
  std::uint32_t weight = 0;
  std::uint32_t count = 0;
  Frames frames{};
};

struct Followed {
  pid_t id = 0;
  std::string name;
  timer_t timer{};
  bool timed = false;
  std::int64_t before_ns = 0;  // of one without a timer
  std::int64_t used_ns = 0;
};

bool start_timer(Followed& thread, std::uint32_t index, std::chrono::nanoseconds period) noexcept {
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = profile_signal;
  event.sigev_value.sival_int = static_cast<int>(index);
  event._sigev_un._tid = thread.id;
  if (::timer_create(processor_clock(thread.id), &event, &thread.timer) != 0) return false;
  itimerspec times{};
  times.it_interval = {period.count() / 1'000'000'000, period.count() % 1'000'000'000};
  times.it_value = times.it_interval;
  if (::timer_settime(thread.timer, 0, &times, nullptr) == 0) return true;
  ::timer_delete(thread.timer);
  return false;
}

}  // namespace

struct CpuSampler::State final : StackTaker {
  void take(const Registers& at, const siginfo_t& why) noexcept override {
    Slot& slot = notes[next.fetch_add(1, std::memory_order_relaxed) % slots];
    Slot::State expected = Slot::empty;
    if (!slot.state.compare_exchange_strong(expected, Slot::writing, std::memory_order_acquire)) {
      lost.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    slot.thread = static_cast<std::uint32_t>(why.si_value.sival_int);
    slot.weight = 1 + static_cast<std::uint32_t>(std::max(why.si_overrun, 0));
    slot.count = static_cast<std::uint32_t>(walk_stack(at, slot.frames));
    slot.state.store(Slot::full, std::memory_order_release);
  }

  void follow();
  void take_over();
  void stop_timers() noexcept;
  Profile profile() const;

  CpuSamplerOptions options;
  std::int64_t began_unix_ns = 0;
  Clock::time_point began;
  std::unique_ptr<Slot[]> notes = std::make_unique<Slot[]>(slots);
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> lost{0};
  std::vector<Followed> threads;
  bool running = false;
  /// By the bytes of thread and frames: samples.
  std::unordered_map<std::string, std::int64_t> stacks;
};

void CpuSampler::State::follow() {
  for (ThreadName& found : list_threads()) {
    auto known = std::ranges::find(threads, found.id, &Followed::id);
    if (known != threads.end()) {
      if (!known->timed) known->used_ns = processor_ns(known->id) - known->before_ns;
      continue;
    }
    Followed thread{.id = found.id, .name = std::move(found.name)};
    const auto index = static_cast<std::uint32_t>(threads.size());
    thread.timed = !found.blocks_signal && start_timer(thread, index, options.period);
    if (!thread.timed) thread.before_ns = processor_ns(thread.id);
    threads.push_back(std::move(thread));
  }
}

void CpuSampler::State::take_over() {
  std::string key;
  for (std::size_t i = 0; i < slots; ++i) {
    Slot& slot = notes[i];
    if (slot.state.load(std::memory_order_acquire) != Slot::full) continue;
    key.assign(reinterpret_cast<const char*>(&slot.thread), sizeof slot.thread);
    key.append(reinterpret_cast<const char*>(slot.frames.data()),
               slot.count * sizeof(std::uintptr_t));
    const std::int64_t weight = slot.weight;
    slot.state.store(Slot::empty, std::memory_order_release);
    if (auto known = stacks.find(key); known != stacks.end()) {
      known->second += weight;
    } else if (stacks.size() < options.stacks_max) {
      stacks.emplace(key, weight);
    } else {
      lost.fetch_add(static_cast<std::uint64_t>(weight), std::memory_order_relaxed);
    }
  }
}

void CpuSampler::State::stop_timers() noexcept {
  if (!std::exchange(running, false)) return;
  for (Followed& thread : threads) {
    if (thread.timed) ::timer_delete(thread.timer);
  }
  on_profile_timer(nullptr);
  taken.store(false);
}

Profile CpuSampler::State::profile() const {
  Profile made{.kind = ProfileKind::cpu,
               .began_unix_ns = began_unix_ns,
               .duration_ns = std::chrono::nanoseconds(Clock::now() - began).count(),
               .period = options.period.count(),
               .samples = {},
               .lost = lost.load()};
  for (const auto& [key, samples] : stacks) {
    std::uint32_t thread = 0;
    std::memcpy(&thread, key.data(), sizeof thread);
    ProfileSample sample;
    sample.frames.resize((key.size() - sizeof thread) / sizeof(std::uintptr_t));
    std::memcpy(sample.frames.data(), key.data() + sizeof thread, key.size() - sizeof thread);
    if (thread < threads.size()) sample.thread = threads[thread].name;
    sample.count = samples;
    sample.amount = samples * made.period;
    made.samples.push_back(std::move(sample));
  }
  for (const Followed& thread : threads) {
    const std::int64_t samples = thread.used_ns / made.period;
    if (samples == 0) continue;
    ProfileSample sample;
    sample.thread = thread.name;
    sample.count = samples;
    sample.amount = samples * made.period;
    made.samples.push_back(std::move(sample));
  }
  return made;
}

CpuSampler::CpuSampler(std::unique_ptr<State> state) : state_(std::move(state)) {}

CpuSampler::~CpuSampler() {
  state_->stop_timers();
}

Result<std::unique_ptr<CpuSampler>> CpuSampler::start(const CpuSamplerOptions& options) {
  if (taken.exchange(true)) {
    return fail(ErrorCode::conflict, "the processor is being profiled already");
  }
  auto state = std::make_unique<State>();
  state->options = options;
  const std::chrono::nanoseconds now = std::chrono::system_clock::now().time_since_epoch();
  state->began_unix_ns = now.count();
  state->began = Clock::now();
  prepare_profile_signal();
  on_profile_timer(state.get());
  state->running = true;
  std::unique_ptr<CpuSampler> sampler(new CpuSampler(std::move(state)));
  sampler->state_->follow();
  return sampler;
}

void CpuSampler::collect() {
  state_->take_over();
  state_->follow();
}

Profile CpuSampler::finish() {
  state_->follow();
  state_->stop_timers();
  state_->take_over();
  return state_->profile();
}

}  // namespace trialwire::telemetry
