// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe_tags.hpp"

#include <emmintrin.h>
#include <sys/mman.h>

#include <algorithm>

#include "base/check.hpp"

namespace trialwire::journal {

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

bool TagTable::maybe_contains(const Hash128& identity) const noexcept {
  const Line& line = table_[line_of(identity)];
  const auto* at = reinterpret_cast<const __m128i*>(&line);
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(identity.low & 0xff));
  auto part = [&](int i) {
    auto equal = _mm_cmpeq_epi8(_mm_load_si128(at + i), wanted);
    return std::uint64_t{static_cast<std::uint32_t>(_mm_movemask_epi8(equal))} << (16 * i);
  };
  std::uint64_t hits = (part(0) | part(1) | part(2)) & ((1ULL << tags_per_line) - 1);
  const unsigned high = (identity.low >> 8) & 15;
  for (; hits != 0; hits &= hits - 1) {
    auto slot = static_cast<unsigned>(__builtin_ctzll(hits));
    if (((line.high[slot / 2] >> (4 * (slot & 1))) & 15u) == high) return true;
  }
  return false;
}

void TagTable::insert(const Hash128& identity) noexcept {
  Line& line = table_[line_of(identity)];
  const unsigned slot = line.next;
  line.low[slot] = static_cast<std::uint8_t>(identity.low);
  const unsigned shift = 4 * (slot & 1);
  const unsigned high = (identity.low >> 8) & 15;
  auto& pair = line.high[slot / 2];
  pair = static_cast<std::uint8_t>((pair & ~(15u << shift)) | high << shift);
  line.next = static_cast<std::uint8_t>(slot + 1 == tags_per_line ? 0 : slot + 1);
}

}  // namespace trialwire::journal
