// SPDX-License-Identifier: Apache-2.0
// Tells whether a name was seen before in one JSON object. Names are compared decoded, so that
// "a" and "\u0061" are one. A few are compared one by one; more go into a keyed hash table, so that
// no sender can make it slow. Owned by one thread; memory is kept and grows with the largest
// object, which the caller bounds. Names are borrowed until `clear`.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/hash.hpp"

namespace trialwire::ingest {

class KeySet {
 public:
  explicit KeySet(SipKey key) noexcept : key_(key) {}

  void clear() noexcept { names_.clear(); }
  std::size_t size() const noexcept { return names_.size(); }
  /// False when the name is already there.
  bool insert(std::string_view name);

 private:
  static constexpr std::size_t listed_max = 8;
  bool insert_hashed(std::string_view name);
  void rebuild();
  std::uint32_t& slot_of(std::string_view name);

  SipKey key_;
  std::vector<std::string_view> names_;
  std::vector<std::uint32_t> slots_;  // position in names_ + 1; 0: free
};

inline bool KeySet::insert(std::string_view name) {
  if (names_.size() >= listed_max) return insert_hashed(name);
  for (std::string_view known : names_) {
    if (known == name) return false;
  }
  names_.push_back(name);
  return true;
}

}  // namespace trialwire::ingest
