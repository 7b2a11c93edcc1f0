// SPDX-License-Identifier: Apache-2.0
// Have we perhaps seen this identity, and when? Twelve bits of each of the most recent identities,
// one cache line a look-up. No means certainly not, within what it holds. Yes is wrong once in a
// hundred times when full, and says from which era, so that one run file settles it.
//
// A line is a ring of 37 tags, the oldest overwritten first. Its last word says how old they are:
//
//   bits 0 … 52    from the newest tag to the oldest: a 1 a tag, a 0 where the era before begins
//   bits 53 … 57   the era of the newest tag, modulo 32
//   bits 58 … 63   the slot that is overwritten next
//
// Example: 0b…1_0_1_1, era 7, next 12: slots 11 and 10 are of era 7, slot 9 is of era 6.
// An era is a sixteenth of what the table holds, so the word reaches as far back as the tags do; a
// line that sees nothing new for 32 eras would be misread, once in 10^36 lines.
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
  /// Where it may be: bit k is set for `era` - k, `era` being the current one. 0: nowhere.
  std::uint64_t find(const Hash128& identity, std::uint64_t era) const noexcept;
  /// Eras never go back.
  void insert(const Hash128& identity, std::uint64_t era) noexcept;

  /// How many identities it holds when full.
  std::uint64_t capacity() const noexcept { return lines_ * tags_per_line; }
  /// Identities an era.
  std::uint64_t era_entries() const noexcept { return capacity() / eras + 1; }
  static constexpr unsigned eras = 15;  // by the words; a sixteenth has begun

 private:
  static constexpr unsigned tags_per_line = 37;
  struct alignas(64) Line {
    std::uint8_t low[tags_per_line];             // low eight bits of each tag
    std::uint8_t high[(tags_per_line + 1) / 2];  // high four bits, two tags a byte
    std::uint64_t order;
  };
  static_assert(sizeof(Line) == 64);
  Line& line(const Hash128& identity) const noexcept {
    return table_[scale_to(identity.high, lines_)];
  }

  std::uint64_t lines_;
  Line* table_;
};

}  // namespace trialwire::journal
