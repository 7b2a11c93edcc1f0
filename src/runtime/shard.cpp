// SPDX-License-Identifier: Apache-2.0
// The loop sleeps in its own epoll, so that a turn costs one system call. Asio keeps its epoll to
// itself; only while something is outstanding there does the loop sleep in Asio instead, which then
// watches the loop's epoll as a descriptor. Sleeping there always was the first design: it costs
// three system calls and a nested wake-up a turn, about 1 µs.
#include "runtime/shard.hpp"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <typeinfo>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/intrusive/list.hpp>

#include "base/check.hpp"
#include "runtime/signals_blocked.hpp"
#include "telemetry/log.hpp"

namespace trialwire::runtime {
namespace {

constexpr int events_max = 256;
constexpr int asio_handlers_max = 64;
constexpr std::int64_t tick_ns = std::chrono::nanoseconds(Shard::tick).count();

using SoonList = boost::intrusive::list<Runnable, boost::intrusive::base_hook<SoonHook>,
                                        boost::intrusive::constant_time_size<false>>;

std::int64_t read_clock(clockid_t clock) noexcept {
  timespec at{};
  clock_gettime(clock, &at);
  return at.tv_sec * std::int64_t{1'000'000'000} + at.tv_nsec;
}

}  // namespace

struct Shard::State {
  explicit State(unsigned shard_index) : index(shard_index) {
    epoll = epoll_create1(EPOLL_CLOEXEC);
    TW_CHECK(epoll >= 0);
    wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    TW_CHECK(wake >= 0);
    // Edge-triggered: each write is a new edge, so nobody needs to read the counter.
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
    TW_CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) == 0);
    read_clocks();
  }
  ~State() {
    ::close(wake);
    ::close(epoll);
  }

  void read_clocks() noexcept {
    now = read_clock(CLOCK_MONOTONIC);
    unix_now = read_clock(CLOCK_REALTIME);
  }

  void loop();
  int timeout_ms() const noexcept;
  void sleep() noexcept;
  void sleep_in_asio(int timeout) noexcept;
  void handle_events() noexcept;
  void run_posted() noexcept;
  void run_asio() noexcept;
  void run_soon() noexcept;
  void run_tick() noexcept;
  void rouse() noexcept {
    if (asleep.exchange(false)) {
      std::uint64_t one = 1;
      [[maybe_unused]] auto written = ::write(wake, &one, sizeof one);
    }
  }

  /// An exception that leaves posted work or a hook is a defect, but no reason to lose intake.
  /// Its type alone is logged: the text may quote what a patient sent.
  template <typename Work>
  static void guarded(Work& work) noexcept {
    std::string_view type = "unknown";
    try {
      work();
      return;
    } catch (const std::exception& error) {
      type = typeid(error).name();
    } catch (...) {
    }
    telemetry::log(telemetry::LogLevel::error, "runtime", "exception left work of a shard",
                   {{"type", type}});
  }

  const unsigned index;
  boost::asio::io_context context{1};
  bool asio_busy = false;
  int epoll = -1;
  int wake = -1;
  std::array<epoll_event, events_max> events{};
  int event_count = 0;
  int event_at = 0;
  std::int64_t now = 0;
  std::int64_t unix_now = 0;
  std::int64_t next_tick = 0;
  std::int64_t lag = 0;
  SoonList soon;
  std::vector<std::function<void()>> turn_hooks;
  std::vector<std::function<void()>> tick_hooks;
  std::vector<std::function<void()>> posted_now;

  std::atomic<bool> asleep{false};
  std::atomic<bool> has_posted{false};
  std::atomic<bool> stopping{false};
  std::atomic<bool> started{false};
  std::mutex mutex;
  std::vector<std::function<void()>> posted;  // under mutex
  std::thread thread;
};

void Shard::State::loop() {
  next_tick = now + tick_ns;
  while (!stopping.load(std::memory_order_relaxed)) {
    sleep();
    read_clocks();
    handle_events();
    run_posted();
    run_asio();
    run_tick();
    run_soon();
    for (auto& hook : turn_hooks) guarded(hook);
  }
}

int Shard::State::timeout_ms() const noexcept {
  if (!soon.empty()) return 0;
  if (tick_hooks.empty()) return -1;
  if (next_tick <= now) return 0;
  return static_cast<int>((next_tick - now + 999'999) / 1'000'000);
}

void Shard::State::sleep() noexcept {
  int timeout = timeout_ms();
  if (timeout != 0) {
    // A poster either sees `asleep` and writes to `wake`, or its work is seen here.
    asleep.store(true);
    if (has_posted.load() || stopping.load()) timeout = 0;
  }
  if (asio_busy && timeout != 0) {
    sleep_in_asio(timeout);
    timeout = 0;
  }
  event_count = epoll_wait(epoll, events.data(), events_max, timeout);
  if (event_count < 0) {
    TW_CHECK(errno == EINTR);
    event_count = 0;
  }
  asleep.store(false, std::memory_order_relaxed);
}

void Shard::State::sleep_in_asio(int timeout) noexcept {
  bool done = false;
  boost::asio::posix::stream_descriptor inner(context, epoll);
  inner.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                   [&done](boost::system::error_code) { done = true; });
  auto once = [&] {
    context.restart();
    if (timeout < 0) {
      context.run_one();
    } else {
      context.run_one_for(std::chrono::milliseconds(timeout));
    }
  };
  guarded(once);
  // Releasing cancels the wait; its handler refers to this frame and must run before it goes.
  inner.release();
  while (!done) {
    auto rest = [&] {
      context.restart();
      context.poll_one();
    };
    guarded(rest);
  }
}

void Shard::State::handle_events() noexcept {
  for (event_at = 0; event_at < event_count; ++event_at) {
    const epoll_event& event = events[event_at];
    if (auto* watcher = static_cast<Watcher*>(event.data.ptr)) watcher->ready(event.events);
  }
  event_count = 0;
}

void Shard::State::run_posted() noexcept {
  if (!has_posted.load(std::memory_order_acquire)) return;
  {
    std::lock_guard lock(mutex);
    posted_now.swap(posted);
    has_posted.store(false);
  }
  for (auto& work : posted_now) guarded(work);
  posted_now.clear();
}

void Shard::State::run_asio() noexcept {
  int left = asio_handlers_max;
  auto some = [&] {
    context.restart();
    while (left > 0 && context.poll_one() > 0) --left;
  };
  guarded(some);
  // Asio stops itself when it holds no outstanding work.
  asio_busy = !context.stopped();
}

void Shard::State::run_soon() noexcept {
  SoonList now_due;
  now_due.swap(soon);
  while (!now_due.empty()) {
    Runnable& work = now_due.front();
    now_due.pop_front();
    work.run();
  }
}

void Shard::State::run_tick() noexcept {
  if (tick_hooks.empty() || now < next_tick) return;
  lag = (lag + now - next_tick) / 2;
  next_tick = now + tick_ns;
  for (auto& hook : tick_hooks) guarded(hook);
}

Shard::Shard(unsigned index) : state_(std::make_unique<State>(index)) {}
Shard::~Shard() {
  stop();
}

unsigned Shard::index() const noexcept {
  return state_->index;
}
boost::asio::io_context& Shard::context() noexcept {
  return state_->context;
}

Result<void> Shard::watch(int socket, Watcher& watcher) {
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &watcher}};
  if (epoll_ctl(state_->epoll, EPOLL_CTL_ADD, socket, &event) != 0)
    return std::unexpected(errno_error("cannot watch a socket", errno));
  return {};
}

void Shard::forget(int socket, Watcher& watcher) noexcept {
  epoll_ctl(state_->epoll, EPOLL_CTL_DEL, socket, nullptr);
  // What the kernel has already reported for this socket must not be delivered.
  for (int i = state_->event_at; i < state_->event_count; ++i)
    if (state_->events[i].data.ptr == &watcher) state_->events[i].data.ptr = nullptr;
}

void Shard::post(std::function<void()> work) {
  {
    std::lock_guard lock(state_->mutex);
    state_->posted.push_back(std::move(work));
    state_->has_posted.store(true);
  }
  state_->rouse();
}

void Shard::soon(Runnable& work) noexcept {
  if (!work.SoonHook::is_linked()) state_->soon.push_back(work);
}

void Shard::at_turn_end(std::function<void()> hook) {
  TW_CHECK(!state_->started);
  state_->turn_hooks.push_back(std::move(hook));
}

void Shard::at_tick(std::function<void()> hook) {
  TW_CHECK(!state_->started);
  state_->tick_hooks.push_back(std::move(hook));
}

std::int64_t Shard::now_ns() const noexcept {
  return state_->now;
}
std::int64_t Shard::unix_now_ns() const noexcept {
  return state_->unix_now;
}
std::int64_t Shard::lag_ns() const noexcept {
  return state_->lag;
}

void Shard::start() {
  TW_CHECK(!state_->started.exchange(true));
  const SignalsBlocked blocked;
  state_->thread = std::thread([state = state_.get()] {
    pthread_setname_np(pthread_self(), fmt::format("shard-{}", state->index).c_str());
    state->loop();
  });
}

void Shard::stop() {
  state_->stopping.store(true);
  state_->rouse();
  if (state_->thread.joinable()) state_->thread.join();
}

bool Shard::running() const noexcept {
  return state_->started.load() && !state_->stopping.load();
}

}  // namespace trialwire::runtime
