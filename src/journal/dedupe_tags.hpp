// SPDX-License-Identifier: Apache-2.0
// Have we perhaps seen this identity? Twelve bits of each of the most recent identities, one cache
// line a look-up: no means certainly not (within what it holds), yes is wrong once in a hundred
// times when full and is then settled by the hot table and the run files.
//
// A line is a ring of 42 tags, the oldest overwritten first; a bucket is chosen by the top bits of
// the identity, in the order of the run files, so that loading a run sweeps the table once.
// Used by one thread (the committer; before it starts, by whoever opens the journal).
#pragma once
#include <cstddef>
#include <cstdint>

#include "journal/dedupe_entry.hpp"

namespace trialwire::journal {

class TagTable {
 public:
  /// Memory is mapped at once and touched as it fills.
  explicit TagTable(std::size_t bytes);
  ~TagTable();
  TagTable(const TagTable&) = delete;
  TagTable& operator=(const TagTable&) = delete;

  std::uint64_t line_of(const Hash128& identity) const noexcept {
    return scale_to(identity.high, lines_);
  }
  void prefetch(const Hash128& identity) const noexcept {
    __builtin_prefetch(&table_[line_of(identity)], 1);
  }
  bool maybe_contains(const Hash128& identity) const noexcept;
  void insert(const Hash128& identity) noexcept;

  /// How many identities it holds when full.
  std::uint64_t capacity() const noexcept { return lines_ * tags_per_line; }
  std::size_t bytes() const noexcept { return lines_ * sizeof(Line); }

 private:
  static constexpr unsigned tags_per_line = 42;
  struct alignas(64) Line {
    std::uint8_t low[tags_per_line];       // low eight bits of each tag
    std::uint8_t high[tags_per_line / 2];  // high four bits, two tags a byte
    std::uint8_t next;                     // slot that is overwritten next
  };
  static_assert(sizeof(Line) == 64);

  std::uint64_t lines_;
  Line* table_;
};

}  // namespace trialwire::journal
