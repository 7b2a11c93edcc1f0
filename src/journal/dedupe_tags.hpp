// SPDX-License-Identifier: Apache-2.0
// Have we perhaps seen this identity, and when? Twelve bits of each of the most recent identities,
// one cache line a look-up. No means certainly not, within `capacity`. Yes is wrong once in a
// hundred times when full, and says from which era, so that one run file settles it.
//
// A line is a ring of 37 tags, the oldest overwritten first. 22 are expected in it: the rest is
// room for lines that are hit more often. One that overflows even so remembers the era of the
// newest tag that it has overwritten, and says "perhaps" of that era and all before. Its last word
// says how old its tags are:
//
//   bits 0 … 52    from the newest tag to the oldest: a 1 a tag, a 0 where the era before begins; a
//                  38th 1 is the newest tag that was overwritten
//   bits 53 … 57   the era of the newest tag, modulo 32
//   bits 58 … 63   the slot that is overwritten next
//
// Example: 0b…1_0_1_1, era 7, next 12: slots 11 and 10 are of era 7, slot 9 is of era 6.
// An era is a fourteenth of the capacity, so that 14 and the one that has begun hold all of it; the
// word reaches 16 back, with 38 tags. A line that sees nothing new for 32 eras is misread, once in
// 10^21 lines, as newer than it is: then it says "perhaps" too often, never too seldom.
//
// Lines are in the order of the run files (by the top bits of the identity), so that loading a run
// sweeps the table once. One thread: the committer; before it starts, whoever opens the journal.
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

  void prefetch(const Hash128& identity) const noexcept { __builtin_prefetch(&line(identity), 1); }
  /// Where it may be: bit k is set for `era` - k, `era` being the current one. Of the newest
  /// `eras`, a bit that is not set says certainly not there.
  std::uint64_t find(const Hash128& identity, std::uint64_t era) const noexcept;
  /// Eras never go back.
  void insert(const Hash128& identity, std::uint64_t era) noexcept;

  /// Of how many of the newest identities it tells what is new at its usual cost.
  std::uint64_t capacity() const noexcept { return lines_ * expected_per_line; }
  /// Identities an era, at least.
  std::uint64_t era_entries() const noexcept { return capacity() / (eras - 1) + 1; }
  static constexpr unsigned eras = 15;  // with the one that has begun
  static constexpr unsigned expected_per_line = 22;
  static constexpr std::size_t line_bytes = 64;

 private:
  static constexpr unsigned tags_per_line = 37;
  struct alignas(line_bytes) Line {
    std::uint8_t low[tags_per_line];             // low eight bits of each tag
    std::uint8_t high[(tags_per_line + 1) / 2];  // high four bits, two tags a byte
    std::uint64_t order;
  };
  static_assert(sizeof(Line) == line_bytes);
  Line& line(const Hash128& identity) const noexcept {
    return table_[scale_to(identity.high, lines_)];
  }

  std::uint64_t lines_;
  Line* table_;
};

}  // namespace trialwire::journal
