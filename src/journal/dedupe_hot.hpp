// SPDX-License-Identifier: Apache-2.0
// The exact table of the newest identities: an append-only list in order of arrival with a hash
// index over it. One generation is filled by the committer while the one before it is written to a
// run file by the background thread, which only reads it. Bounded by the caller, who seals it.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "journal/dedupe_entry.hpp"

namespace trialwire::journal {

class HotTable {
 public:
  /// Room for `expected` identities without allocating; more are taken at the price of growing.
  explicit HotTable(std::size_t expected);

  std::size_t size() const noexcept { return size_; }
  const DedupeEntry& at(std::size_t i) const noexcept {
    return chunks_[i / chunk_entries][i % chunk_entries];
  }
  void prefetch(const Hash128& identity) const noexcept {
    __builtin_prefetch(&slots_[first_slot(identity)], 1);
  }

  void prefetch_at(std::size_t i) const noexcept {
    __builtin_prefetch(&chunks_[i / chunk_entries][i % chunk_entries]);
  }

  /// The newest entry with that identity, or null. Valid until the next `insert`.
  const DedupeEntry* find(const Hash128& identity) const noexcept;
  void insert(const DedupeEntry& entry);
  /// Takes the newest entries back until `size` are left.
  void undo_to(std::size_t size) noexcept;
  /// Empty again, keeping its memory up to what was expected.
  void clear();

 private:
  static constexpr std::size_t chunk_entries = 4096;
  std::size_t first_slot(const Hash128& identity) const noexcept {
    return (identity.low >> 20) & mask_;
  }
  std::size_t chunks_kept() const noexcept { return expected_ / chunk_entries + 1; }
  void grow();

  std::size_t expected_;
  std::size_t size_ = 0;
  std::size_t mask_ = 0;
  std::vector<std::unique_ptr<DedupeEntry[]>> chunks_;
  std::vector<std::uint32_t> slots_;  // position + 1; 0: empty
};

}  // namespace trialwire::journal
