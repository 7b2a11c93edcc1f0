// SPDX-License-Identifier: Apache-2.0
// Finds what a destination will not take in a delivery, by halving: the first piece is the whole
// delivery; one that is refused is halved until it is a single unit (a record, or the records of a
// submission, which stay together), and only a unit that was refused alone counts as poison. The
// pieces come in order, each begins where what is done ends, so the order of the records is kept.
//
//   records   0 1 2 3 4 5 6 7     5 is poison
//   refused   [0        ..  7]
//   taken     [0 .. 3]
//   refused           [4 5]
//   taken             [4]
//   refused             [5]       → set aside
//   taken                 [6 7]   as many as were good before it, then twice as many each time
//
// With n records and one poison about log2(n) pieces are refused and as many taken; they hold 2 n
// records at most. Where poison is dense pieces are as long as what lies between two of it: one in
// ten costs about six pieces each, however many records there are.
// Pure: no clock, no I/O. Borrows the records.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "journal/record.hpp"

namespace trialwire::pipeline {

class PoisonSearch {
 public:
  /// After the first poison a piece has no more than `piece_records` records, or what the unit at
  /// its end makes of it: what is sent again for each further one stays small.
  PoisonSearch(std::span<const journal::Record> records, std::size_t piece_records);

  /// Pieces have no more than so many records from here on, or what the unit at their end makes of
  /// it: larger ones take the destination too long.
  void limit(std::size_t records) noexcept;

  /// What is to be tried now; empty when all is done.
  std::span<const journal::Record> piece() const noexcept;
  /// The piece is the last one of the delivery.
  bool last() const noexcept;

  /// The destination has the piece.
  void taken() noexcept;
  /// The destination refuses the piece. True: it is one unit and is to be set aside, then
  /// `set_aside` is to be called (or the piece is tried again).
  bool refused() noexcept;
  void set_aside() noexcept;

 private:
  std::size_t unit_end(std::size_t from) const noexcept;
  std::size_t boundary(std::size_t from) const noexcept;
  std::size_t piece_end() const noexcept;

  std::span<const journal::Record> records_;
  std::size_t piece_records_;
  std::size_t at_ = 0;       // before it all is done
  std::size_t suspect_ = 0;  // [at_, suspect_) was refused as a whole; 0: nothing is suspected
  std::size_t most_;         // records of a piece that is not suspected …
  std::size_t most_again_ = SIZE_MAX;  // … and what it grows to after a poison
  std::size_t after_poison_ = 0;       // where the last one ended
  bool found_ = false;
};

}  // namespace trialwire::pipeline
