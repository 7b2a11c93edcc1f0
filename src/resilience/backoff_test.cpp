// SPDX-License-Identifier: Apache-2.0
#include "resilience/backoff.hpp"

#include <gtest/gtest.h>

namespace trialwire::resilience {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, doubles_its_bound_with_every_failure) {
  BackoffOptions options{milliseconds(100), milliseconds(30'000)};
  EXPECT_EQ(backoff(options, 1, 0.5), milliseconds(50));
  EXPECT_EQ(backoff(options, 2, 0.5), milliseconds(100));
  EXPECT_EQ(backoff(options, 3, 0.5), milliseconds(200));
}

TEST(Backoff, stays_under_the_cap_however_often_it_failed) {
  BackoffOptions options{milliseconds(100), milliseconds(30'000)};
  EXPECT_LE(backoff(options, 4'000'000'000U, 0.999999), milliseconds(30'000));
  EXPECT_GE(backoff(options, 4'000'000'000U, 0.999999), milliseconds(29'000));
}

TEST(Backoff, a_cap_below_the_first_bound_wins) {
  EXPECT_LE(backoff({milliseconds(500), milliseconds(20)}, 1, 0.99), milliseconds(20));
}

TEST(Backoff, never_is_zero_and_bears_a_bad_random_number) {
  EXPECT_EQ(backoff({}, 1, 0.0), milliseconds(1));
  EXPECT_EQ(backoff({}, 1, -3.0), milliseconds(1));
  EXPECT_LE(backoff({}, 1, 7.0), milliseconds(100));
}

}  // namespace
}  // namespace trialwire::resilience
