// SPDX-License-Identifier: Apache-2.0
// Passes over the value of a field that the contract does not know. It means nothing here, but the
// names within each of its objects are given once, as everywhere: which of two values counts must
// not be left to whoever reads the original later (docs/decisions/unknown-values.md).
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/hash.hpp"
#include "ingest/json_reader.hpp"
#include "ingest/key_set.hpp"
#include "ingest/scratch.hpp"

namespace trialwire::ingest {

/// The names of the objects that are open, a set for each level. One a thread; memory is kept and
/// grows with the deepest and largest objects, which depth and fields of an object bound.
class NestedNames {
 public:
  explicit NestedNames(SipKey key) noexcept : key_(key) {}
  KeySet& at(std::size_t level) {
    while (levels_.size() <= level) levels_.emplace_back(key_);
    return levels_[level];
  }

 private:
  SipKey key_;
  std::deque<KeySet> levels_;  // none moves when another is added
};

struct UnknownValue {
  bool repeats = false;   // an object has a name twice
  bool too_many = false;  // an object has more than `fields_max` names; those beyond are not told
                          // apart
};

/// The value that is next, all of it checked as `JsonReader::skip_value` does; a fault is the
/// reader's. Names with escapes are decoded into `scratch`.
UnknownValue pass_over(JsonReader& reader, NestedNames& names, Scratch& scratch,
                       std::uint32_t fields_max);

}  // namespace trialwire::ingest
