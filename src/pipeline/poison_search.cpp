// SPDX-License-Identifier: Apache-2.0
#include "pipeline/poison_search.hpp"

#include <algorithm>
#include <utility>

#include "pipeline/record_batch.hpp"

namespace trialwire::pipeline {

PoisonSearch::PoisonSearch(std::span<const journal::Record> records, std::size_t piece_records)
    : records_(records),
      piece_records_(std::max<std::size_t>(piece_records, 1)),
      most_(std::max<std::size_t>(records.size(), 1)) {}

void PoisonSearch::limit(std::size_t records) noexcept {
  most_ = std::clamp<std::size_t>(records, 1, most_);
  most_again_ = std::min(most_again_, std::max<std::size_t>(records, 1));
}

/// After the unit that `from` begins.
std::size_t PoisonSearch::unit_end(std::size_t from) const noexcept {
  return boundary(std::min(from + 1, records_.size()));
}

/// The first place at or after `from` that is between two units.
std::size_t PoisonSearch::boundary(std::size_t from) const noexcept {
  while (from > 0 && from < records_.size() && !ends_between(records_[from - 1], &records_[from])) {
    ++from;
  }
  return from;
}

std::size_t PoisonSearch::piece_end() const noexcept {
  if (suspect_ <= at_) return boundary(std::min(at_ + most_, records_.size()));
  std::size_t first = unit_end(at_);
  if (first >= suspect_) return suspect_;
  // Half of it, but less than all: a unit that straddles the middle goes with neither or the first.
  std::size_t middle = boundary(at_ + (suspect_ - at_) / 2);
  return middle < suspect_ ? std::max(middle, first) : first;
}

std::span<const journal::Record> PoisonSearch::piece() const noexcept {
  return records_.subspan(at_, piece_end() - at_);
}

bool PoisonSearch::last() const noexcept {
  return piece_end() == records_.size();
}

void PoisonSearch::taken() noexcept {
  const bool suspected = suspect_ > at_;
  at_ = piece_end();
  if (suspect_ <= at_) suspect_ = 0;
  // What it was before the first poison, it stays: only a delivery in which there is one is slow.
  if (!suspected && found_) most_ = std::clamp<std::size_t>(most_ * 2, 1, most_again_);
}

bool PoisonSearch::refused() noexcept {
  std::size_t end = piece_end();
  if (unit_end(at_) >= end) return true;
  suspect_ = end;
  return false;
}

void PoisonSearch::set_aside() noexcept {
  const std::size_t between = at_ - after_poison_;
  at_ = after_poison_ = unit_end(at_);
  suspect_ = 0;
  if (!std::exchange(found_, true)) most_again_ = std::min(most_, piece_records_);
  most_ = std::clamp<std::size_t>(between, 1, most_again_);
}

}  // namespace trialwire::pipeline
