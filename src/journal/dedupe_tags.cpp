// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe_tags.hpp"

#include <emmintrin.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>

#include "base/check.hpp"

namespace trialwire::journal {
namespace {

constexpr unsigned order_bits = 53, era_at = 53, next_at = 58;
constexpr std::uint64_t order_mask = (1ULL << order_bits) - 1, era_mask = 31;

unsigned next_of(std::uint64_t word) noexcept {
  return static_cast<unsigned>(word >> next_at);
}

/// Eras from the line's own back to that of its tag number `age` (0: the newest); -1: forgotten.
int eras_back(std::uint64_t word, unsigned age) noexcept {
  std::uint64_t order = word & order_mask;
  for (unsigned i = 0; i < age; ++i) order &= order - 1;
  return order == 0 ? -1 : std::countr_zero(order) - static_cast<int>(age);
}

}  // namespace

TagTable::TagTable(std::size_t bytes) : lines_(std::max<std::size_t>(bytes / sizeof(Line), 64)) {
  void* memory = ::mmap(nullptr, lines_ * sizeof(Line), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TW_CHECK(memory != MAP_FAILED);
  // Random access over tens of megabytes: with small pages each look-up would miss the TLB too.
  ::madvise(memory, lines_ * sizeof(Line), MADV_HUGEPAGE);
  table_ = static_cast<Line*>(memory);
}

TagTable::~TagTable() {
  ::munmap(table_, lines_ * sizeof(Line));
}

std::uint64_t TagTable::find(const Hash128& identity, std::uint64_t era) const noexcept {
  const Line& at = line(identity);
  const auto* words = reinterpret_cast<const __m128i*>(&at);
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(identity.low & 0xff));
  auto part = [&](int i) {
    auto equal = _mm_cmpeq_epi8(_mm_load_si128(words + i), wanted);
    return std::uint64_t{static_cast<std::uint32_t>(_mm_movemask_epi8(equal))} << (16 * i);
  };
  std::uint64_t hits = (part(0) | part(1) | part(2)) & ((1ULL << tags_per_line) - 1);
  const unsigned high = (identity.low >> 8) & 15;
  const std::uint64_t steps = (era - (at.order >> era_at)) & era_mask;
  std::uint64_t found = 0;
  const std::uint64_t order = at.order & order_mask;
  if (std::popcount(order) > static_cast<int>(tags_per_line)) [[unlikely]] {
    // The last 1 is the newest tag that was overwritten.
    found = ~0ULL << (static_cast<unsigned>(std::bit_width(order)) - 1 - tags_per_line + steps);
  }
  for (; hits != 0; hits &= hits - 1) {
    auto slot = static_cast<unsigned>(__builtin_ctzll(hits));
    if (((at.high[slot / 2] >> (4 * (slot & 1))) & 15u) != high) continue;
    const unsigned age = (next_of(at.order) + 2 * tags_per_line - 1 - slot) % tags_per_line;
    const int back = eras_back(at.order, age);
    if (back >= 0) found |= 1ULL << (static_cast<unsigned>(back) + steps);
  }
  return found;
}

void TagTable::insert(const Hash128& identity, std::uint64_t era) noexcept {
  Line& at = line(identity);
  const unsigned slot = next_of(at.order);
  at.low[slot] = static_cast<std::uint8_t>(identity.low);
  const unsigned shift = 4 * (slot & 1);
  const unsigned high = (identity.low >> 8) & 15;
  auto& pair = at.high[slot / 2];
  pair = static_cast<std::uint8_t>((pair & ~(15u << shift)) | high << shift);
  const std::uint64_t steps = (era - (at.order >> era_at)) & era_mask;
  std::uint64_t order = ((at.order & order_mask) << (steps + 1) | 1) & order_mask;
  if (std::popcount(order) > static_cast<int>(tags_per_line) + 1) order ^= std::bit_floor(order);
  const std::uint64_t next = slot + 1 == tags_per_line ? 0 : slot + 1;
  at.order = order | (era & era_mask) << era_at | next << next_at;
}

}  // namespace trialwire::journal
