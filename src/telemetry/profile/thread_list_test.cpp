// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/thread_list.hpp"

#include <pthread.h>

#include <csignal>

#include <gmock/gmock.h>

namespace trialwire::telemetry {

[[gnu::noinline]] void wait_in_here(std::atomic<int>& phase) {
  phase.store(1);
  phase.notify_all();
  while (phase.load() != 2) phase.wait(1);
  phase.notify_all();  // so that the call above is none of the last
}

namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

TEST(ThreadList, ShowsWhereAThreadWaitsAndWakesNobody) {
  std::atomic<int> phase{0};
  std::thread waiting([&phase] {
    pthread_setname_np(pthread_self(), "waiting");
    wait_in_here(phase);
  });
  phase.wait(0);
  const auto threads = list_thread_stacks();
  phase.store(2);
  phase.notify_all();
  waiting.join();
  auto found = std::ranges::find(threads, "waiting", &ListedThread::name);
  ASSERT_NE(found, threads.end());
  EXPECT_GE(threads.size(), 2U);
  Symbols symbols;
  const std::string text = thread_list_text({*found}, symbols);
  EXPECT_THAT(text, ContainsRegex("^[0-9]+ waiting (sleeping|running), 0\\.[0-9]+ s of CPU\n"));
  EXPECT_THAT(text, HasSubstr("wait_in_here"));
}

TEST(ThreadList, NamesThoseThatCannotBeAsked) {
  std::atomic<int> phase{0};
  std::thread deaf([&phase] {
    pthread_setname_np(pthread_self(), "deaf");
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    wait_in_here(phase);
  });
  phase.wait(0);
  const auto threads = list_thread_stacks(std::chrono::milliseconds(1'000));
  phase.store(2);
  phase.notify_all();
  deaf.join();
  auto found = std::ranges::find(threads, "deaf", &ListedThread::name);
  ASSERT_NE(found, threads.end());
  EXPECT_FALSE(found->takes_signals);
  Symbols symbols;
  EXPECT_THAT(thread_list_text({*found}, symbols), HasSubstr("(takes no signals)"));
}

}  // namespace
}  // namespace trialwire::telemetry
