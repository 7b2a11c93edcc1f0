// SPDX-License-Identifier: Apache-2.0
// Wakes whoever waits for something to have happened; no ring is missed.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace trialwire::fault {

class Bell {
 public:
  void ring() {
    {
      std::scoped_lock lock(mutex_);
      ++rings_;
    }
    changed_.notify_all();
  }
  std::uint64_t rings() const {
    std::scoped_lock lock(mutex_);
    return rings_;
  }
  /// Returns when there were more rings than `seen`, or after `at_most`.
  void wait_beyond(std::uint64_t seen, std::chrono::milliseconds at_most) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, at_most, [&] { return rings_ > seen; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t rings_ = 0;
};

}  // namespace trialwire::fault
