// SPDX-License-Identifier: Apache-2.0
// A lock for what is held for some ten nanoseconds and never while waiting for anything: one
// exchange to take it and one store to leave it, a third of what a std::mutex costs when nobody
// else wants it. Who finds it taken looks again some times, then lets others run: the holder may
// have lost its processor. Not fair, not recursive; for std::lock_guard.
#pragma once
#include <atomic>
#include <thread>

namespace trialwire {

class BriefLock {
 public:
  void lock() noexcept {
    while (held_.exchange(true, std::memory_order_acquire)) wait();
  }
  void unlock() noexcept { held_.store(false, std::memory_order_release); }

 private:
  void wait() const noexcept {
    constexpr int looks = 64;
    for (int i = 0; held_.load(std::memory_order_relaxed); ++i) {
      if (i < looks) {
        __builtin_ia32_pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  std::atomic<bool> held_{false};
};

}  // namespace trialwire
