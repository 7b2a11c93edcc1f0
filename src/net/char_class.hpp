// SPDX-License-Identifier: Apache-2.0
// Sets of ASCII characters, and the search for the first byte outside of one, 16 bytes at a time.
// A byte is looked up by its two halves: the upper one chooses a bit, the lower one says for which
// upper halves the character is in the set. Bytes from 0x80 on are in no set.
#pragma once
#include <tmmintrin.h>

#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

namespace trialwire::net {

class CharClass {
 public:
  explicit constexpr CharClass(std::string_view chars) {
    for (char c : chars) {
      auto u = static_cast<unsigned char>(c);
      by_low_half_[u & 15U] |= static_cast<std::uint8_t>(1U << (u >> 4));
    }
  }

  bool has(char c) const noexcept {
    auto u = static_cast<unsigned char>(c);
    return u < 0x80 && (by_low_half_[u & 15U] >> (u >> 4) & 1U) != 0;
  }

  /// Bit i is set when byte i of these 16 is outside.
  unsigned outside(__m128i bytes) const noexcept {
    const __m128i upper_bit = _mm_setr_epi8(1, 2, 4, 8, 16, 32, 64, -128, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i half = _mm_set1_epi8(15);
    __m128i lower = _mm_load_si128(reinterpret_cast<const __m128i*>(by_low_half_.data()));
    __m128i in =
        _mm_and_si128(_mm_shuffle_epi8(lower, _mm_and_si128(bytes, half)),
                      _mm_shuffle_epi8(upper_bit, _mm_and_si128(_mm_srli_epi16(bytes, 4), half)));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(in, _mm_setzero_si128())));
  }

  /// The first byte that is outside; `end` when there is none.
  const char* skip(const char* p, const char* end) const noexcept {
    for (; end - p >= 16; p += 16) {
      unsigned mask = outside(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
      if (mask != 0) return p + std::countr_zero(mask);
    }
    while (p < end && has(*p)) ++p;
    return p;
  }

 private:
  alignas(16) std::array<std::uint8_t, 16> by_low_half_{};
};

/// tchar of RFC 9110.
inline constexpr CharClass token_chars(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&'*+-.^_`|~");
/// unreserved, reserved without '#', and '%' (RFC 3986).
inline constexpr CharClass target_chars(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~:/?[]@!$&'()*+,;=%");
/// Of these, those that need no second look: not '?', '%' and '.'.
inline constexpr CharClass plain_target_chars(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_~:/[]@!$&'()*+,;=");
/// reg-name without '%' (RFC 3986).
inline constexpr CharClass host_chars(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~!$&'()*+,;=");
/// What header values of our own mostly consist of.
inline constexpr CharClass printable_chars(
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz -_.,;:=/+");

}  // namespace trialwire::net
