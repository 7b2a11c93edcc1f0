// SPDX-License-Identifier: Apache-2.0
// The thread on which all calls of other servers are made (libcurl's multi interface): no event
// loop of clients ever waits for another server. Connections are kept and used again.
//
// Threads: `post`, `wake` and `stop` from any; the rest on the loop's own thread, which is there
// from the constructor on and has all signals blocked. What runs there must not block.
// Bounds: who posts bounds what it posts (HttpTarget: calls under way).
#pragma once
#include <chrono>
#include <functional>
#include <memory>

#include "outbound/transfer.hpp"

namespace trialwire::outbound {

class HttpLoop {
 public:
  HttpLoop();
  ~HttpLoop();
  HttpLoop(const HttpLoop&) = delete;
  HttpLoop& operator=(const HttpLoop&) = delete;

  /// False: it has stopped, and `work` is gone. Else it runs on the loop's thread.
  [[nodiscard]] bool post(std::move_only_function<void()> work);
  /// A transfer may have been cancelled: look.
  void wake() noexcept;
  /// Ends every transfer as cancelled, runs what was posted and what waits for its time, joins.
  /// Idempotent.
  void stop();

  /// On the loop's thread. `ended` of the transfer is called later, from there.
  void begin(std::unique_ptr<Transfer> transfer);
  /// On the loop's thread: `work` runs then, or when the loop stops.
  void after(std::chrono::nanoseconds wait, std::move_only_function<void()> work);
  /// Nothing is begun any more.
  bool stopping() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace trialwire::outbound
