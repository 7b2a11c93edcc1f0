// SPDX-License-Identifier: Apache-2.0
#include "vitals/vital_sign.hpp"

#include "vitals/units.hpp"

namespace trialwire::vitals {

bool VitalSign::unusual(std::size_t vital) const noexcept {
  if (!values[vital]) return false;
  const Range& usual = vital_traits[vital].usual;
  bool was_converted = collected[vital].unit.data() != nullptr;
  return was_converted ? !holds_converted(usual, *values[vital]) : !usual.holds(*values[vital]);
}

bool VitalSign::any_unusual() const noexcept {
  for (std::size_t vital = 0; vital < vital_count; ++vital) {
    if (unusual(vital)) return true;
  }
  return false;
}

}  // namespace trialwire::vitals
