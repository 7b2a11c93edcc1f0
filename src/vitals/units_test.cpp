// SPDX-License-Identifier: Apache-2.0
#include "vitals/units.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <string_view>

namespace trialwire::vitals {
namespace {

double stored(Vital vital, std::string_view unit, double value) {
  auto convert = conversion(vital, unit);
  return convert ? (*convert)(value) : std::nan("");
}

TEST(Units, known_points_of_each_scale) {
  EXPECT_DOUBLE_EQ(stored(Vital::temperature, "[degF]", 98.6), 37);
  EXPECT_DOUBLE_EQ(stored(Vital::temperature, "F", 32), 0);
  EXPECT_DOUBLE_EQ(stored(Vital::temperature, "\u00b0F", -40), -40);
  EXPECT_DOUBLE_EQ(stored(Vital::weight, "[lb_av]", 1), 0.45359237);
  EXPECT_DOUBLE_EQ(stored(Vital::weight, "LB", 154), 69.85322498);
  EXPECT_DOUBLE_EQ(stored(Vital::weight, "g", 3'250), 3.25);
  EXPECT_DOUBLE_EQ(stored(Vital::height, "IN", 67), 170.18);
  EXPECT_DOUBLE_EQ(stored(Vital::height, "[in_i]", 1), 2.54);
  EXPECT_DOUBLE_EQ(stored(Vital::glucose, "mg/dL", 18.0156), 1);
  EXPECT_DOUBLE_EQ(stored(Vital::blood_oxygen, "1", 0.97), 97);
}

TEST(Units, the_contracts_own_leave_a_value_as_it_is_to_the_last_bit) {
  for (std::size_t i = 0; i < vital_count; ++i) {
    auto convert = conversion(static_cast<Vital>(i), vital_traits[i].unit);
    ASSERT_TRUE(convert) << vital_traits[i].field;
    EXPECT_TRUE(convert->same());
    EXPECT_EQ((*convert)(36.6), 36.6);
  }
  for (std::string_view unit : {"/min", "BEATS/MIN", "beats/min", "bpm", "BPM", "{Beats}/min"}) {
    EXPECT_EQ(stored(Vital::heart_rate, unit, 61.7), 61.7) << unit;
  }
  EXPECT_EQ(stored(Vital::systolic, "mm[Hg]", 120.1), 120.1);
  EXPECT_EQ(stored(Vital::diastolic, "MMHG", 80.1), 80.1);
  EXPECT_EQ(stored(Vital::temperature, "C", 36.6), 36.6);
}

TEST(Units, of_other_values_or_unknown_are_none) {
  EXPECT_FALSE(conversion(Vital::temperature, "K"));
  EXPECT_FALSE(conversion(Vital::temperature, ""));
  EXPECT_FALSE(conversion(Vital::temperature, "kg"));
  EXPECT_FALSE(conversion(Vital::weight, "in"));
  EXPECT_FALSE(conversion(Vital::heart_rate, "/mi"));
  EXPECT_FALSE(conversion(Vital::heart_rate, " /min"));
}

RC_GTEST_PROP(Units, a_conversion_and_its_inverse_give_the_value_back, (double fraction)) {
  // Between 0 and 500, where all that can be measured is.
  double value = std::abs(std::fmod(fraction, 1.0)) * 500;
  auto near = [](double left, double right) {
    return std::abs(left - right) <= 1e-9 * std::max(1.0, std::abs(right));
  };
  RC_ASSERT(near(stored(Vital::temperature, "F", value * 9 / 5 + 32), value));
  RC_ASSERT(near(stored(Vital::weight, "LB", value / 0.45359237), value));
  RC_ASSERT(near(stored(Vital::weight, "g", value * 1000), value));
  RC_ASSERT(near(stored(Vital::height, "in", value / 2.54), value));
  RC_ASSERT(near(stored(Vital::glucose, "mg/dL", value * 18.0156), value));
  RC_ASSERT(near(stored(Vital::blood_oxygen, "1", value / 100), value));
}

RC_GTEST_PROP(Units, conversions_keep_the_order_of_values, (double left, double right)) {
  RC_PRE(std::isfinite(left) && std::isfinite(right) && left < right);
  for (auto [vital, unit] : {std::pair{Vital::temperature, "F"}, std::pair{Vital::weight, "LB"},
                             std::pair{Vital::glucose, "mg/dL"}}) {
    RC_ASSERT(stored(vital, unit, left) <= stored(vital, unit, right));
  }
}

TEST(Units, the_end_of_a_range_is_in_it_whatever_unit_it_came_in) {
  const Range& temperature = traits_of(Vital::temperature).possible;
  EXPECT_TRUE(holds_converted(temperature, stored(Vital::temperature, "F", 116.6)));
  EXPECT_TRUE(holds_converted(temperature, stored(Vital::temperature, "F", 57.56)));
  EXPECT_FALSE(holds_converted(temperature, stored(Vital::temperature, "F", 116.61)));
  EXPECT_FALSE(holds_converted(temperature, HUGE_VAL));
}

}  // namespace
}  // namespace trialwire::vitals
