// SPDX-License-Identifier: Apache-2.0
#include "ingest/plausible_time.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>

namespace trialwire::ingest {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t now = 1'772'352'930 * second;

TEST(PlausibleTime, a_number_is_milliseconds_unless_it_is_plausible_in_another_unit_alone) {
  auto at = instant_of_number(1'772'352'930'250);
  ASSERT_TRUE(at);
  EXPECT_EQ(at->unix_ns, now + 250'000'000);
  EXPECT_TRUE(at->milliseconds);
  for (auto [number, expected] : {std::pair<std::int64_t, std::int64_t>{1'772'352'930, now},
                                  {1'772'352'930'250'000, now + 250'000'000},
                                  {1'772'352'930'250'000'001, now + 250'000'001}}) {
    at = instant_of_number(number);
    ASSERT_TRUE(at) << number;
    EXPECT_EQ(at->unix_ns, expected) << number;
    EXPECT_FALSE(at->milliseconds) << number;
  }
}

TEST(PlausibleTime, a_device_that_lost_its_clock_is_at_1970_and_not_refused) {
  for (std::int64_t number : {0, 1, 86'400'000, -5'000}) {
    auto at = instant_of_number(number);
    ASSERT_TRUE(at) << number;
    EXPECT_EQ(at->unix_ns, number * 1'000'000) << number;
    EXPECT_TRUE(at->milliseconds) << number;
    EXPECT_EQ(time_flags(at->unix_ns, now, {}), flag_timestamp_in_past);
  }
}

TEST(PlausibleTime, what_nanoseconds_do_not_hold_is_no_time) {
  EXPECT_FALSE(instant_of_number(std::numeric_limits<std::int64_t>::max()));
  EXPECT_FALSE(instant_of_number(std::numeric_limits<std::int64_t>::min()));
  EXPECT_FALSE(instant_of_number(9'300'000'000'000));
  EXPECT_TRUE(instant_of_number(9'200'000'000'000));
}

RC_GTEST_PROP(PlausibleTime, every_instant_of_the_century_is_told_in_each_unit, ()) {
  auto seconds = *rc::gen::inRange<std::int64_t>(946'684'800, 4'102'444'800);
  for (std::int64_t per_second :
       {std::int64_t{1}, std::int64_t{1'000}, std::int64_t{1'000'000}, second}) {
    auto at = instant_of_number(seconds * per_second);
    RC_ASSERT(at.has_value());
    RC_ASSERT(at->unix_ns == seconds * second);
    RC_ASSERT(at->milliseconds == (per_second == 1'000));
  }
}

TEST(PlausibleTime, flags_what_is_outside_of_five_minutes_and_thirty_days) {
  constexpr std::int64_t minutes = 60 * second, days = 86'400 * second;
  EXPECT_EQ(time_flags(now, now, {}), 0);
  EXPECT_EQ(time_flags(now + 5 * minutes, now, {}), 0);
  EXPECT_EQ(time_flags(now + 5 * minutes + 1, now, {}), flag_timestamp_in_future);
  EXPECT_EQ(time_flags(now - 30 * days, now, {}), 0);
  EXPECT_EQ(time_flags(now - 30 * days - 1, now, {}), flag_timestamp_in_past);
  EXPECT_EQ(time_flags(std::numeric_limits<std::int64_t>::min(), now, {}), flag_timestamp_in_past);
  EXPECT_EQ(time_flags(std::numeric_limits<std::int64_t>::max(), -now, {}),
            flag_timestamp_in_future);
}

}  // namespace
}  // namespace trialwire::ingest
