// SPDX-License-Identifier: Apache-2.0
// One I/O thread: an Asio io_context for timers, signals, accepts and posts, and a readiness loop
// for the connections' sockets. A turn is: all sockets that are ready, all posted work, then the
// `end of turn` hooks (the journal's flush): what one turn brought leaves together.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

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

class Shard {
 public:
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

  /// From any thread: runs `work` on the shard's thread.
  void post(std::function<void()> work);

  /// Called at the end of every turn, in order of registration. Before `start` only.
  void at_turn_end(std::function<void()> hook);

  /// Nanoseconds, read once a turn: monotonic, and since the Unix epoch.
  std::int64_t now_ns() const noexcept;
  std::int64_t unix_now_ns() const noexcept;

  /// Runs on its own thread, named "shard-N".
  void start();
  /// From another thread: ends the loop after the current turn and joins. Idempotent.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::runtime
