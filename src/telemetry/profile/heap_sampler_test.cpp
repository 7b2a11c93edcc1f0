// SPDX-License-Identifier: Apache-2.0
// Objects here are addresses alone: what the sampler makes of them does not read them.
#include "telemetry/profile/heap_sampler.hpp"

#include <gmock/gmock.h>

#include "telemetry/profile/symbols.hpp"

namespace trialwire::telemetry {

[[gnu::noinline]] void allocate_from_here(std::uintptr_t address, std::size_t size) {
  heap_allocated(reinterpret_cast<void*>(address), size);
  asm volatile("" ::: "memory");  // so that the call above is none of the last
}

namespace {

class HeapSampler : public testing::Test {
 protected:
  void SetUp() override { heap_hooks_are_there(); }
  void TearDown() override { stop_heap_samples(); }
};

TEST_F(HeapSampler, RemembersNothingWhileItIsOff) {
  for (std::uintptr_t i = 1; i < 1'000; ++i) allocate_from_here(i * 64, 1 << 20);
  EXPECT_EQ(heap_sample_state().objects, 0U);
  EXPECT_TRUE(heap_profile().samples.empty());
}

TEST_F(HeapSampler, EstimatesWhatIsInUseAndWhatEverWas) {
  ASSERT_TRUE(start_heap_samples(64 << 10));
  constexpr std::int64_t objects = 40'000, size = 1'000;
  for (std::int64_t i = 1; i <= objects; ++i) {
    allocate_from_here(static_cast<std::uintptr_t>(i) * 64, size);
    if (i % 2 == 0) heap_freed(reinterpret_cast<void*>(static_cast<std::uintptr_t>(i) * 64));
  }
  const Profile profile = heap_profile();
  EXPECT_EQ(profile.period, 64 << 10);
  Estimate used;
  Estimate all;
  for (const ProfileSample& sample : profile.samples) {
    const Estimate one = estimate(sample.count, sample.amount, profile.period);
    used.amount += one.amount;
    all.amount += estimate(sample.count_total, sample.amount_total, profile.period).amount;
  }
  // About 610 and 305 samples: within five standard deviations.
  EXPECT_NEAR(static_cast<double>(all.amount), 40e6, 40e6 * 0.21);
  EXPECT_NEAR(static_cast<double>(used.amount), 20e6, 20e6 * 0.29);
}

TEST_F(HeapSampler, KnowsWhoAllocated) {
  ASSERT_TRUE(start_heap_samples(1));
  allocate_from_here(0x1000, 1 << 20);
  allocate_from_here(0x2000, 1 << 20);
  const Profile profile = heap_profile();
  Symbols symbols;
  bool found = false;
  for (const ProfileSample& sample : profile.samples) {
    ASSERT_FALSE(sample.frames.empty());
    found = found ||
            symbols.name(sample.frames[0] - 1).find("allocate_from_here") != std::string_view::npos;
  }
  EXPECT_TRUE(found);
}

TEST_F(HeapSampler, ForgetsEachObjectOfManyInOneTable) {
  ASSERT_TRUE(start_heap_samples(1));
  // Each is far larger than the interval: all are sampled, but the first of the thread perhaps.
  for (std::uintptr_t i = 1; i <= 20'000; ++i) allocate_from_here(i * 16, 1 << 20);
  EXPECT_GE(heap_sample_state().objects, 19'999U);
  for (std::uintptr_t i = 1; i <= 20'000; i += 2) heap_freed(reinterpret_cast<void*>(i * 16));
  EXPECT_LE(heap_sample_state().objects, 10'000U);
  for (std::uintptr_t i = 2; i <= 20'000; i += 2) heap_freed(reinterpret_cast<void*>(i * 16));
  EXPECT_EQ(heap_sample_state().objects, 0U);
}

TEST_F(HeapSampler, CountsWhatFindsNoRoom) {
  ASSERT_TRUE(start_heap_samples(1));
  for (std::uintptr_t i = 1; i <= heap_objects_max + 100; ++i) allocate_from_here(i * 16, 1 << 20);
  EXPECT_EQ(heap_sample_state().objects, heap_objects_max);
  EXPECT_GE(heap_sample_state().lost, 99U);
}

TEST_F(HeapSampler, IsOneAtATimeAndForgetsWhenItEnds) {
  ASSERT_TRUE(start_heap_samples(1));
  auto second = start_heap_samples(1);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  allocate_from_here(0x1000, 1 << 20);
  allocate_from_here(0x2000, 1 << 20);
  stop_heap_samples();
  EXPECT_EQ(heap_sample_state().objects, 0U);
  heap_freed(reinterpret_cast<void*>(0x1000));
  ASSERT_TRUE(start_heap_samples(1 << 20));
  EXPECT_EQ(heap_sample_state().objects, 0U);
}

TEST(Estimates, AreOfAPointProcess) {
  // 1 / (1 - 1/e) = 1.58198: an object as large as the interval is met in 63 % of all cases.
  EXPECT_EQ(estimate(1'000, 1'000'000, 1'000).count, 1'582);
  EXPECT_EQ(estimate(1'000, 1'000'000, 1'000).amount, 1'581'977);
  EXPECT_EQ(estimate(3, 3'000'000, 1).amount, 3'000'000);
  EXPECT_EQ(estimate(0, 0, 1'000).count, 0);
}

}  // namespace
}  // namespace trialwire::telemetry
