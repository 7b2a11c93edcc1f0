// SPDX-License-Identifier: Apache-2.0
// Units as collected → those of the contract. UCUM's codes and the spellings that devices and case
// report forms use, in either case: within one kind of value no two of them differ by case alone.
// Pure functions.
#pragma once
#include <optional>
#include <string_view>

#include "vitals/vital.hpp"

namespace trialwire::vitals {

/// stored = (sent + shift) * factor / divisor: 98.6 [degF] → (98.6 - 32) * 5 / 9 = 37 Cel. Factors
/// are integers or the defined ones, so that nothing is lost to a rounded reciprocal.
struct Conversion {
  double shift = 0;
  double factor = 1;
  double divisor = 1;

  constexpr double operator()(double sent) const noexcept {
    return (sent + shift) * factor / divisor;
  }
  constexpr bool same() const noexcept { return shift == 0 && factor == 1 && divisor == 1; }
};

/// Nothing, when a value of this kind is never given in that unit.
std::optional<Conversion> conversion(Vital vital, std::string_view unit) noexcept;

/// "Cel, C, °C, [degF], F or °F", for people.
std::string_view units_of(Vital vital) noexcept;

/// Is the value, which came in another unit, in the range? One at its end may miss it by what the
/// conversion rounds: a billionth is granted.
bool holds_converted(const Range& range, double value) noexcept;

}  // namespace trialwire::vitals
