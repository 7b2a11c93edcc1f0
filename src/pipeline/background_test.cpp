// SPDX-License-Identifier: Apache-2.0
#include "pipeline/background.hpp"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
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
  EXPECT_EQ(nice, ::getpriority(PRIO_PROCESS, 0));
}

TEST(Background, an_account_that_cannot_undo_it_is_not_starved) {
  pid_t child = ::fork();
  if (child == 0) {
    rlimit none{};
    if (::setrlimit(RLIMIT_NICE, &none) != 0) ::_exit(2);
    // The superuser may undo anything: be someone else.
    if (::geteuid() == 0 && ::setuid(65534) != 0) ::_exit(3);
    if (may_leave_background()) ::_exit(4);
    enter_background();
    ::_exit(::sched_getscheduler(0) == SCHED_OTHER ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace trialwire::pipeline
