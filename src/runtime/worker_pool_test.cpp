// SPDX-License-Identifier: Apache-2.0
#include "runtime/worker_pool.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>

#include "support/event.hpp"

namespace trialwire::runtime {
namespace {

TEST(WorkerPool, finishes_what_it_accepted_before_it_stops) {
  std::atomic<int> ran{0};
  WorkerPool pool({.name = "test", .threads = 3, .queue_max = 1'000});
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(pool.submit([&] { ++ran; }));
  pool.stop();
  EXPECT_EQ(ran, 500);
}

TEST(WorkerPool, refuses_when_the_queue_is_full_and_accepts_again_when_it_is_not) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 2});
  support::Event running;
  support::Event release;
  ASSERT_TRUE(pool.submit([&] {
    running.set();
    release.wait();
  }));
  running.wait();
  ASSERT_TRUE(pool.submit([] {}));
  ASSERT_TRUE(pool.submit([] {}));
  EXPECT_EQ(pool.queued(), 2U);
  EXPECT_FALSE(pool.submit([] {}));
  EXPECT_EQ(pool.refused(), 1U);
  release.set();
  support::Event drained;
  while (!pool.submit([&] { drained.set(); })) {
  }
  drained.wait();
}

TEST(WorkerPool, runs_what_is_first_before_all_that_waits) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 3});
  support::Event running;
  support::Event release;
  ASSERT_TRUE(pool.submit([&] {
    running.set();
    release.wait();
  }));
  running.wait();
  std::string order;  // the one thread's
  ASSERT_TRUE(pool.submit([&] { order += 'a'; }));
  ASSERT_TRUE(pool.submit([&] { order += 'b'; }));
  ASSERT_TRUE(pool.submit_first([&] { order += 'c'; }));
  EXPECT_FALSE(pool.submit_first([] {})) << "the bound is the same";
  release.set();
  pool.stop();
  EXPECT_EQ(order, "cab");
}

TEST(WorkerPool, a_task_that_throws_is_counted_and_the_thread_goes_on) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 10});
  ASSERT_TRUE(pool.submit([] { throw std::runtime_error("on purpose"); }));
  ASSERT_TRUE(pool.submit([] { throw 1; }));
  support::Event after;
  ASSERT_TRUE(pool.submit([&] { after.set(); }));
  after.wait();
  EXPECT_EQ(pool.failed(), 2U);
}

TEST(WorkerPool, refuses_after_stop) {
  WorkerPool pool({.name = "test", .threads = 1, .queue_max = 10});
  pool.stop();
  pool.stop();
  EXPECT_FALSE(pool.submit([] {}));
}

}  // namespace
}  // namespace trialwire::runtime
