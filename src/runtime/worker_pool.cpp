// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker_pool.hpp"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <typeinfo>
#include <vector>

#include <fmt/format.h>

#include "runtime/signals_blocked.hpp"
#include "telemetry/log.hpp"

namespace trialwire::runtime {

struct WorkerPool::State {
  bool take(std::move_only_function<void()> work, bool first);
  void work(unsigned number) noexcept;
  void run(std::move_only_function<void()>& task) noexcept;

  WorkerPoolOptions options;
  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::move_only_function<void()>> queue;  // under mutex
  bool stopping = false;                              // under mutex
  std::vector<std::thread> threads;
  std::once_flag joined;
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> refused{0};
};

bool WorkerPool::State::take(std::move_only_function<void()> work, bool first) {
  {
    std::lock_guard lock(mutex);
    if (stopping || queue.size() >= options.queue_max) {
      refused.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    if (first) {
      queue.push_front(std::move(work));
    } else {
      queue.push_back(std::move(work));
    }
  }
  wake.notify_one();
  return true;
}

void WorkerPool::State::work(unsigned number) noexcept {
  // The kernel keeps 15 characters of a name.
  pthread_setname_np(pthread_self(), fmt::format("{:.11}-{}", options.name, number).c_str());
  for (;;) {
    std::move_only_function<void()> task;
    {
      std::unique_lock lock(mutex);
      wake.wait(lock, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      task = std::move(queue.front());
      queue.pop_front();
    }
    run(task);
  }
}

void WorkerPool::State::run(std::move_only_function<void()>& task) noexcept {
  // The type alone is logged: the text of an exception may quote what a patient sent.
  std::string_view type = "unknown";
  try {
    task();
    return;
  } catch (const std::exception& error) {
    type = typeid(error).name();
  } catch (...) {
  }
  failed.fetch_add(1, std::memory_order_relaxed);
  telemetry::log(telemetry::LogLevel::error, "runtime", "exception left a worker's task",
                 {{"pool", std::string_view(options.name)}, {"type", type}});
}

WorkerPool::WorkerPool(WorkerPoolOptions options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  const SignalsBlocked blocked;
  for (unsigned i = 0; i < state_->options.threads; ++i)
    state_->threads.emplace_back([state = state_.get(), i] { state->work(i); });
}

WorkerPool::~WorkerPool() {
  stop();
}

bool WorkerPool::submit(std::move_only_function<void()> work) {
  return state_->take(std::move(work), false);
}

bool WorkerPool::submit_first(std::move_only_function<void()> work) {
  return state_->take(std::move(work), true);
}

std::size_t WorkerPool::queued() const noexcept {
  std::lock_guard lock(state_->mutex);
  return state_->queue.size();
}

std::uint64_t WorkerPool::failed() const noexcept {
  return state_->failed.load();
}
std::uint64_t WorkerPool::refused() const noexcept {
  return state_->refused.load();
}

void WorkerPool::stop() {
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  std::call_once(state_->joined, [this] {
    for (auto& thread : state_->threads) thread.join();
  });
}

}  // namespace trialwire::runtime
