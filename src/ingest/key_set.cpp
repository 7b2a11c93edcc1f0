// SPDX-License-Identifier: Apache-2.0
#include "ingest/key_set.hpp"

#include <algorithm>
#include <bit>

namespace trialwire::ingest {

std::uint32_t& KeySet::slot_of(std::string_view name) {
  std::size_t mask = slots_.size() - 1;
  std::size_t at = siphash(key_, as_bytes(name)).low & mask;
  while (slots_[at] != 0 && names_[slots_[at] - 1] != name) at = (at + 1) & mask;
  return slots_[at];
}

void KeySet::rebuild() {
  std::size_t wanted = std::bit_ceil(std::max<std::size_t>(64, names_.size() * 4));
  // Not all that a larger object needed: small ones after it would pay for clearing it.
  slots_.assign(wanted, 0);
  for (std::uint32_t i = 0; i < names_.size(); ++i) slot_of(names_[i]) = i + 1;
}

bool KeySet::insert_hashed(std::string_view name) {
  // The first name that goes beyond the list finds slots of an earlier object.
  if (names_.size() == listed_max || names_.size() * 2 >= slots_.size()) rebuild();
  std::uint32_t& slot = slot_of(name);
  if (slot != 0) return false;
  names_.push_back(name);
  slot = static_cast<std::uint32_t>(names_.size());
  return true;
}

}  // namespace trialwire::ingest
