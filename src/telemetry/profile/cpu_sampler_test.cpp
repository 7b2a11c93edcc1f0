// SPDX-License-Identifier: Apache-2.0
#include "telemetry/profile/cpu_sampler.hpp"

#include <pthread.h>

#include <csignal>
#include <ctime>

#include <gmock/gmock.h>

#include "telemetry/profile/profile_signal.hpp"
#include "telemetry/profile/symbols.hpp"

namespace trialwire::telemetry {

std::atomic<std::uint64_t> burnt{0};

/// Until this thread has used so much processor time.
[[gnu::noinline]] void burn_processor_time(std::chrono::milliseconds time) {
  auto used = [] {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  };
  const auto end = used() + time;
  while (used() < end) {
    for (int i = 0; i < 10'000; ++i) burnt.fetch_add(1, std::memory_order_relaxed);
  }
}

[[gnu::noinline]] void burn_from_outside(std::chrono::milliseconds time) {
  burn_processor_time(time);
  burnt.fetch_add(1);  // so that the call above is none of the last
}

namespace {

using testing::HasSubstr;
constexpr std::chrono::milliseconds burning{400};
#if __has_feature(thread_sanitizer)
constexpr bool late_signals = true;
#else
constexpr bool late_signals = false;
#endif

/// Samples whose stack has both functions, one called by the other.
std::int64_t samples_of_both(const Profile& profile) {
  Symbols symbols;
  std::int64_t found = 0;
  for (const ProfileSample& sample : profile.samples) {
    bool inner = false;
    bool outer = false;
    for (std::size_t i = 0; i < sample.frames.size(); ++i) {
      const std::string_view name = symbols.name(sample.frames[i] - (i == 0 ? 0 : 1));
      if (name.find("burn_processor_time") != std::string_view::npos) inner = true;
      if (name.find("burn_from_outside") != std::string_view::npos) outer = inner;
    }
    if (outer) found += sample.count;
  }
  return found;
}

TEST(CpuSampler, FindsWhereProcessorTimeGoesAndWhoCalledIt) {
  auto sampler = CpuSampler::start({.period = std::chrono::milliseconds(4)});
  ASSERT_TRUE(sampler) << sampler.error().text;
  std::thread worker([] {
    pthread_setname_np(pthread_self(), "burner");
    burn_from_outside(burning);
  });
  while (burnt.load() == 0) std::this_thread::yield();
  (*sampler)->collect();  // it began later, and is followed from here on
  worker.join();
  const Profile profile = (*sampler)->finish();
  EXPECT_EQ(profile.period, 4'000'000);
  EXPECT_EQ(profile.lost, 0U);
  std::int64_t all = 0;
  for (const ProfileSample& sample : profile.samples) {
    EXPECT_EQ(sample.amount, sample.count * profile.period);
    if (sample.thread == "burner") all += sample.count;
  }
  // 100 in 400 ms, some before it was followed; where the kernel's clock ticks less often, all the
  // same: each says how many it stands for.
  EXPECT_GT(all, 40);
  EXPECT_LT(all, 130);
  // ThreadSanitizer hands signals over late, mostly from its own code, which has no frames.
  if constexpr (!late_signals) EXPECT_GT(samples_of_both(profile), all / 2);
}

TEST(CpuSampler, IsOneAtATime) {
  auto first = CpuSampler::start({});
  ASSERT_TRUE(first);
  auto second = CpuSampler::start({});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  first->reset();
  EXPECT_TRUE(CpuSampler::start({}));
}

TEST(CpuSampler, KnowsTheTimeOfAThreadThatTakesNoSignals) {
  std::atomic<bool> go{false};
  std::thread worker([&go] {
    pthread_setname_np(pthread_self(), "deaf");
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    go.store(true);
    go.notify_one();
    go.wait(true);
    burn_processor_time(std::chrono::milliseconds(200));
    go.store(true);
    go.notify_one();
    go.wait(true);
  });
  go.wait(false);
  auto sampler = CpuSampler::start({});
  ASSERT_TRUE(sampler);
  go.store(false);
  go.notify_one();
  go.wait(false);
  const Profile profile = (*sampler)->finish();
  go.store(false);
  go.notify_one();
  worker.join();
  auto deaf = std::ranges::find(profile.samples, "deaf", &ProfileSample::thread);
  ASSERT_NE(deaf, profile.samples.end());
  EXPECT_TRUE(deaf->frames.empty());
  EXPECT_GE(deaf->amount, 150'000'000);
}

TEST(CpuSampler, CountsWhatFindsNoRoom) {
  auto sampler = CpuSampler::start({.period = std::chrono::milliseconds(1), .stacks_max = 0});
  ASSERT_TRUE(sampler);
  burn_processor_time(std::chrono::milliseconds(100));
  const Profile profile = (*sampler)->finish();
  EXPECT_TRUE(profile.samples.empty());
  EXPECT_GT(profile.lost, 10U);
}

TEST(ProfileSignal, ThatComesWhenNobodyAsksIsIgnored) {
  prepare_profile_signal();
  EXPECT_EQ(::raise(profile_signal), 0);
}

}  // namespace
}  // namespace trialwire::telemetry
