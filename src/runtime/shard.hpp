// SPDX-License-Identifier: Apache-2.0
// One I/O thread: a readiness loop for the sockets of connections and listeners, and an Asio
// io_context beside it for timers, signals and what libraries bring. A turn is: up to 256 ready
// sockets, then posted work, then Asio's handlers, then `soon` work, then the `end of turn` hooks
// (the journal's flush): what one turn brought leaves together.
//
// Threads: everything runs on the shard's own thread; `post` and `stop` alone may be called from
// others. Work started on `context()` must come from the shard's thread: another thread's
// `boost::asio::post` to it need not wake the loop.
// Bounds: a turn takes 256 sockets and 64 Asio handlers, and the posted and `soon` work it found;
// what comes meanwhile waits for the next turn, which then does not sleep. Posters bound what they
// post. An idle shard wakes for the tick alone.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list_hook.hpp>

#include "base/error.hpp"

namespace trialwire::runtime {

/// Told that a socket may be read or written. Called on the shard's thread.
class Watcher {
 public:
  /// `events` are EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR; edge-triggered.
  virtual void ready(std::uint32_t events) noexcept = 0;

 protected:
  ~Watcher() = default;
};

struct SoonTag;
using SoonHook =
    boost::intrusive::list_base_hook<boost::intrusive::tag<SoonTag>,
                                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// Work that its owner holds: run later in the turn without an allocation, gone when destroyed.
class Runnable : public SoonHook {
 public:
  virtual void run() noexcept = 0;

 protected:
  ~Runnable() = default;
};

class Shard {
 public:
  /// How often `at_tick` hooks run.
  static constexpr std::chrono::milliseconds tick{100};

  explicit Shard(unsigned index);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  unsigned index() const noexcept;
  boost::asio::io_context& context() noexcept;

  /// Registers a non-blocking socket once, edge-triggered for everything. The watcher must call
  /// `forget` before it dies or the socket is closed; no `ready` call follows `forget`.
  Result<void> watch(int socket, Watcher& watcher);
  void forget(int socket, Watcher& watcher) noexcept;

  /// From any thread: runs `work` on the shard's thread. After `stop` it is dropped.
  void post(std::function<void()> work);

  /// On the shard's thread: runs `work` once after this turn's sockets and posts, before the end
  /// of turn hooks; queued during the hooks, in the next turn. Queued twice, it runs once.
  void soon(Runnable& work) noexcept;

  /// Called at the end of every turn, in order of registration. Before `start` only.
  void at_turn_end(std::function<void()> hook);
  /// Called about every `tick`. Before `start` only.
  void at_tick(std::function<void()> hook);

  /// Nanoseconds, read once a turn: monotonic, and since the Unix epoch.
  std::int64_t now_ns() const noexcept;
  std::int64_t unix_now_ns() const noexcept;
  /// How late the loop gets to what is due, in nanoseconds: how late ticks run, the mean of the
  /// last one and of those before it. Under `tick` it says little, being 0 on an idle shard.
  std::int64_t lag_ns() const noexcept;

  /// Runs on its own thread, named "shard-N", with all signals but SIGPROF blocked.
  void start();
  /// From another thread: ends the loop after the current turn and joins. Idempotent.
  void stop();
  /// Between `start` and `stop`.
  bool running() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::runtime
