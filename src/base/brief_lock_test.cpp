// SPDX-License-Identifier: Apache-2.0
#include "base/brief_lock.hpp"

#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace trialwire {
namespace {

TEST(BriefLock, of_many_threads_each_has_its_turn_alone) {
  constexpr int threads = 8;
  constexpr int turns = 20'000;
  BriefLock lock;
  int sum = 0;
  {
    std::vector<std::jthread> all;
    for (int i = 0; i < threads; ++i) {
      all.emplace_back([&] {
        for (int turn = 0; turn < turns; ++turn) {
          std::lock_guard held(lock);
          ++sum;
        }
      });
    }
  }
  EXPECT_EQ(sum, threads * turns);
}

}  // namespace
}  // namespace trialwire
