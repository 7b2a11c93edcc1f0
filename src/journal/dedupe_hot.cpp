// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe_hot.hpp"

#include <algorithm>
#include <bit>

namespace trialwire::journal {

HotTable::HotTable(std::size_t expected) : expected_(std::max<std::size_t>(expected, 16)) {
  slots_.assign(std::bit_ceil(expected_ * 3 / 2), 0);
  mask_ = slots_.size() - 1;
  chunks_.reserve(expected_ / chunk_entries * 4 + 4);
  for (std::size_t i = 0; i < chunks_kept(); ++i) {  // mapped, not touched
    chunks_.push_back(std::make_unique_for_overwrite<DedupeEntry[]>(chunk_entries));
  }
}

const DedupeEntry* HotTable::find(const Hash128& identity) const noexcept {
  // To the end of the chain: an identity whose first entry is out of the window may be here twice.
  const DedupeEntry* found = nullptr;
  for (std::size_t s = first_slot(identity); slots_[s] != 0; s = (s + 1) & mask_) {
    const DedupeEntry& entry = at(slots_[s] - 1);
    if (entry.identity == identity) found = &entry;
  }
  return found;
}

void HotTable::insert(const DedupeEntry& entry) {
  if ((size_ + 1) * 8 > slots_.size() * 7) grow();
  if (size_ / chunk_entries == chunks_.size()) {
    chunks_.push_back(std::make_unique_for_overwrite<DedupeEntry[]>(chunk_entries));
  }
  chunks_[size_ / chunk_entries][size_ % chunk_entries] = entry;
  std::size_t s = first_slot(entry.identity);
  while (slots_[s] != 0) s = (s + 1) & mask_;
  slots_[s] = static_cast<std::uint32_t>(++size_);
}

void HotTable::undo_to(std::size_t size) noexcept {
  // Newest first: its slot ends every chain that it is part of, so emptying it breaks none.
  for (; size_ > size; --size_) {
    std::size_t s = first_slot(at(size_ - 1).identity);
    while (slots_[s] != size_) s = (s + 1) & mask_;
    slots_[s] = 0;
  }
}

void HotTable::clear() {
  size_ = 0;
  if (chunks_.size() > chunks_kept()) chunks_.resize(chunks_kept());
  const std::size_t usual = std::bit_ceil(expected_ * 3 / 2);
  if (slots_.size() > usual) slots_ = std::vector<std::uint32_t>(usual);
  std::ranges::fill(slots_, 0);
  mask_ = slots_.size() - 1;
}

void HotTable::grow() {
  slots_.assign(slots_.size() * 2, 0);
  mask_ = slots_.size() - 1;
  for (std::size_t i = 0; i < size_; ++i) {
    std::size_t s = first_slot(at(i).identity);
    while (slots_[s] != 0) s = (s + 1) & mask_;
    slots_[s] = static_cast<std::uint32_t>(i + 1);
  }
}

}  // namespace trialwire::journal
