// SPDX-License-Identifier: Apache-2.0
// A fixed number of threads and a bounded queue, for work that may block: SQL of GETs, hashing,
// compression. Never a shard's.
// Threads: all members may be called from any thread; `stop` not from the pool's own.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

namespace trialwire::runtime {

struct WorkerPoolOptions {
  std::string name = "worker";
  unsigned threads = 4;
  std::size_t queue_max = 10'240;
};

class WorkerPool {
 public:
  explicit WorkerPool(WorkerPoolOptions options);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False when the queue is full or the pool stops: the caller answers 503.
  /// An exception that leaves `work` is logged and counted; the thread goes on.
  [[nodiscard]] bool submit(std::move_only_function<void()> work);
  /// The same, before all that waits.
  [[nodiscard]] bool submit_first(std::move_only_function<void()> work);
  /// Waiting, not those that run.
  std::size_t queued() const noexcept;
  /// Work that an exception left, and work that `submit` refused.
  std::uint64_t failed() const noexcept;
  std::uint64_t refused() const noexcept;
  /// Finishes what was accepted, then joins. Idempotent.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::runtime
