// SPDX-License-Identifier: Apache-2.0
#include "pipeline/background.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <latch>
#include <thread>

namespace trialwire::pipeline {
namespace {

TEST(Background, a_thread_is_brought_back_to_normal_by_another_one) {
  std::latch entered(1);
  std::latch brought_back(1);
  int number = 0;
  bool was_entered = false;
  int scheduler = -1;
  int nice = -1;
  std::thread thread([&] {
    was_entered = enter_background();
    number = ::gettid();
    entered.count_down();
    brought_back.wait();
    scheduler = ::sched_getscheduler(0);
    nice = ::getpriority(PRIO_PROCESS, static_cast<id_t>(number));
  });
  entered.wait();
  bool allowed = leave_background(number);
  brought_back.count_down();
  thread.join();
  if (!was_entered || !allowed) GTEST_SKIP() << "the kernel does not let this account do that";
  EXPECT_EQ(scheduler, SCHED_OTHER);
  EXPECT_EQ(nice, 0);
}

}  // namespace
}  // namespace trialwire::pipeline
