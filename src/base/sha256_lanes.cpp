// SPDX-License-Identifier: Apache-2.0
#include "base/sha256_lanes.hpp"

#include <immintrin.h>

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/sha256_constants.hpp"

// A function of its own target, never a file: inline functions of headers, compiled for AVX-512
// here, could else be the ones that the whole program is linked with.
#define TW_LANES __attribute__((target("avx512f,avx512bw")))
#define TW_LANES_INLINE __attribute__((target("avx512f,avx512bw"), always_inline)) inline

namespace trialwire {
namespace {

constexpr std::size_t block_bytes = 64;
constexpr std::size_t words = 16;  // of a block

/// One 32-bit word of each lane.
using Lanes = __m512i;

TW_LANES_INLINE Lanes add(Lanes a, Lanes b) noexcept {
  return _mm512_add_epi32(a, b);
}

/// a XOR b XOR c.
TW_LANES_INLINE Lanes parity(Lanes a, Lanes b, Lanes c) noexcept {
  return _mm512_ternarylogic_epi32(a, b, c, 0x96);
}

/// Rows become columns: word i of lane k is word k of result i.
TW_LANES_INLINE void transpose(Lanes (&rows)[words]) noexcept {
  Lanes pairs[words];
#pragma unroll
  for (std::size_t i = 0; i < words; i += 4) {
    const Lanes low0 = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    const Lanes high0 = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    const Lanes low1 = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]);
    const Lanes high1 = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
    pairs[i] = _mm512_unpacklo_epi64(low0, low1);
    pairs[i + 1] = _mm512_unpackhi_epi64(low0, low1);
    pairs[i + 2] = _mm512_unpacklo_epi64(high0, high1);
    pairs[i + 3] = _mm512_unpackhi_epi64(high0, high1);
  }
#pragma unroll
  for (std::size_t i = 0; i < 4; ++i) {  // of each quarter of a row, its word i
    const Lanes a = _mm512_shuffle_i32x4(pairs[i], pairs[i + 4], 0x88);
    const Lanes b = _mm512_shuffle_i32x4(pairs[i + 8], pairs[i + 12], 0x88);
    const Lanes c = _mm512_shuffle_i32x4(pairs[i], pairs[i + 4], 0xdd);
    const Lanes d = _mm512_shuffle_i32x4(pairs[i + 8], pairs[i + 12], 0xdd);
    rows[i] = _mm512_shuffle_i32x4(a, b, 0x88);
    rows[i + 4] = _mm512_shuffle_i32x4(c, d, 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(a, b, 0xdd);
    rows[i + 12] = _mm512_shuffle_i32x4(c, d, 0xdd);
  }
}

/// FIPS 180-4, 6.2.2, of one block a lane; `block` is used up.
TW_LANES_INLINE void compress(Lanes (&state)[8], Lanes (&block)[words]) noexcept {
  Lanes now[8];
#pragma unroll
  for (std::size_t i = 0; i < 8; ++i) now[i] = state[i];
#pragma unroll
  for (std::size_t round = 0; round < 64; ++round) {
    Lanes& word = block[round % words];
    if (round >= words) {
      const Lanes w15 = block[(round + 1) % words], w2 = block[(round + 14) % words];
      const Lanes small0 =
          parity(_mm512_ror_epi32(w15, 7), _mm512_ror_epi32(w15, 18), _mm512_srli_epi32(w15, 3));
      const Lanes small1 =
          parity(_mm512_ror_epi32(w2, 17), _mm512_ror_epi32(w2, 19), _mm512_srli_epi32(w2, 10));
      word = add(add(word, small0), add(block[(round + 9) % words], small1));
    }
    // The eight words turn by one a round: their names do, not they.
    Lanes& a = now[(64 - round) % 8];
    Lanes& b = now[(65 - round) % 8];
    Lanes& c = now[(66 - round) % 8];
    Lanes& d = now[(67 - round) % 8];
    Lanes& e = now[(68 - round) % 8];
    Lanes& f = now[(69 - round) % 8];
    Lanes& g = now[(70 - round) % 8];
    Lanes& h = now[(71 - round) % 8];
    const Lanes constant = _mm512_set1_epi32(static_cast<int>(sha256_round_constants[round]));
    const Lanes big1 =
        parity(_mm512_ror_epi32(e, 6), _mm512_ror_epi32(e, 11), _mm512_ror_epi32(e, 25));
    const Lanes choice = _mm512_ternarylogic_epi32(e, f, g, 0xca);
    const Lanes first = add(add(add(h, word), constant), add(big1, choice));
    const Lanes big0 =
        parity(_mm512_ror_epi32(a, 2), _mm512_ror_epi32(a, 13), _mm512_ror_epi32(a, 22));
    const Lanes majority = _mm512_ternarylogic_epi32(a, b, c, 0xe8);
    d = add(d, first);
    h = add(first, add(big0, majority));
  }
#pragma unroll
  for (std::size_t i = 0; i < 8; ++i) state[i] = add(state[i], now[i]);
}

TW_LANES_INLINE Lanes byte_swap(Lanes value) noexcept {
  const Lanes order =
      _mm512_broadcast_i32x4(_mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3));
  return _mm512_shuffle_epi8(value, order);
}

/// The block behind a text of whole blocks: the end mark and the length in bits.
TW_LANES_INLINE void last_block(std::size_t bytes, Lanes (&block)[words]) noexcept {
  const std::uint64_t bits = std::uint64_t{bytes} * 8;
#pragma unroll
  for (std::size_t i = 0; i < words; ++i) block[i] = _mm512_setzero_si512();
  block[0] = _mm512_set1_epi32(static_cast<int>(0x80000000U));
  block[14] = _mm512_set1_epi32(static_cast<int>(bits >> 32));
  block[15] = _mm512_set1_epi32(static_cast<int>(bits & 0xffffffffU));
}

TW_LANES void hash_lanes(const std::byte* const* texts, std::size_t bytes,
                         std::uint32_t (*out)[sha256_lanes]) noexcept {
  Lanes state[8], block[words];
#pragma unroll
  for (std::size_t i = 0; i < 8; ++i) {
    state[i] = _mm512_set1_epi32(static_cast<int>(sha256_initial_state[i]));
  }
  for (std::size_t at = 0; at < bytes; at += block_bytes) {
#pragma unroll
    for (std::size_t i = 0; i < words; ++i) {
      block[i] = byte_swap(_mm512_loadu_si512(texts[i] + at));
    }
    transpose(block);
    compress(state, block);
  }
  last_block(bytes, block);
  compress(state, block);
  for (std::size_t i = 0; i < 8; ++i) _mm512_storeu_si512(out[i], byte_swap(state[i]));
}

}  // namespace

bool sha256_lanes_available() noexcept {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0;
}

void sha256_of_lanes(const std::array<const std::byte*, sha256_lanes>& texts, std::size_t bytes,
                     std::array<Sha256, sha256_lanes>& digests) noexcept {
  std::uint32_t state[8][sha256_lanes];
  hash_lanes(texts.data(), bytes, state);
  for (std::size_t lane = 0; lane < sha256_lanes; ++lane) {
    for (std::size_t i = 0; i < 8; ++i) {
      std::memcpy(digests[lane].data() + 4 * i, &state[i][lane], 4);
    }
  }
}

}  // namespace trialwire
