// SPDX-License-Identifier: Apache-2.0
#include "base/sha256_pair.hpp"

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/sha256_constants.hpp"

namespace trialwire {
namespace {

constexpr std::size_t block_bytes = 64;

/// The eight words of the state, in the order that the instructions want.
struct State {
  __m128i abef = _mm_set_epi32(0x6a09e667, static_cast<int>(0xbb67ae85), 0x510e527f,
                               static_cast<int>(0x9b05688c));
  __m128i cdgh = _mm_set_epi32(0x3c6ef372, static_cast<int>(0xa54ff53a), 0x1f83d9ab, 0x5be0cd19);
};

/// `count` blocks of each lane. This file is compiled without AVX: see src/CMakeLists.txt.
template <std::size_t lanes>
void compress(State* states, const std::byte* const* texts, std::size_t count) noexcept {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  State now[lanes];
  const std::byte* at[lanes];
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    now[lane] = states[lane];
    at[lane] = texts[lane];
  }
  for (; count > 0; --count) {
    State before[lanes];
    __m128i words[lanes][4];
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      before[lane] = now[lane];
      for (std::size_t i = 0; i < 4; ++i) {
        const auto* from = reinterpret_cast<const __m128i*>(at[lane] + 16 * i);
        words[lane][i] = _mm_shuffle_epi8(_mm_loadu_si128(from), big_endian);
      }
      at[lane] += block_bytes;
    }
#pragma unroll
    for (std::size_t step = 0; step < 16; ++step) {  // of four rounds
      const auto* constants = reinterpret_cast<const __m128i*>(sha256_round_constants + 4 * step);
#pragma unroll
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        State& state = now[lane];
        __m128i* word = words[lane];
        const __m128i sum = _mm_add_epi32(word[step % 4], _mm_load_si128(constants));
        state.cdgh = _mm_sha256rnds2_epu32(state.cdgh, state.abef, sum);
        state.abef = _mm_sha256rnds2_epu32(state.abef, state.cdgh, _mm_shuffle_epi32(sum, 0x0e));
        if (step >= 12) continue;
        const __m128i last = word[(step + 3) % 4];
        const __m128i next =
            _mm_add_epi32(_mm_sha256msg1_epu32(word[step % 4], word[(step + 1) % 4]),
                          _mm_alignr_epi8(last, word[(step + 2) % 4], 4));
        word[step % 4] = _mm_sha256msg2_epu32(next, last);
      }
    }
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      now[lane].abef = _mm_add_epi32(now[lane].abef, before[lane].abef);
      now[lane].cdgh = _mm_add_epi32(now[lane].cdgh, before[lane].cdgh);
    }
  }
  for (std::size_t lane = 0; lane < lanes; ++lane) states[lane] = now[lane];
}

Sha256 digest_of(const State& state) noexcept {
  alignas(16) std::array<std::uint32_t, 4> feba, hgdc;
  _mm_store_si128(reinterpret_cast<__m128i*>(feba.data()), state.abef);
  _mm_store_si128(reinterpret_cast<__m128i*>(hgdc.data()), state.cdgh);
  const std::array<std::uint32_t, 8> words{feba[3], feba[2], hgdc[3], hgdc[2],
                                           feba[1], feba[0], hgdc[1], hgdc[0]};
  Sha256 digest;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint32_t big_endian = std::byteswap(words[i]);
    std::memcpy(digest.data() + 4 * i, &big_endian, 4);
  }
  return digest;
}

/// What is left of a text after `done` bytes, its end mark and its length.
Sha256 finish(State state, ByteView text, std::size_t done) noexcept {
  const std::size_t blocks = (text.size() - done) / block_bytes;
  const std::byte* at = text.data() + done;
  compress<1>(&state, &at, blocks);
  done += blocks * block_bytes;
  std::array<std::byte, 2 * block_bytes> tail{};
  const std::size_t rest = text.size() - done;
  if (rest > 0) std::memcpy(tail.data(), text.data() + done, rest);
  tail[rest] = std::byte{0x80};
  const std::size_t tail_bytes = rest + 9 <= block_bytes ? block_bytes : 2 * block_bytes;
  const std::uint64_t bits = std::byteswap(std::uint64_t{text.size()} * 8);
  std::memcpy(tail.data() + tail_bytes - 8, &bits, 8);
  const std::byte* tail_at = tail.data();
  compress<1>(&state, &tail_at, tail_bytes / block_bytes);
  return digest_of(state);
}

bool has_instructions() noexcept {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned sha = 1U << 29;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & sha) != 0;
}

}  // namespace

Sha256 sha256(ByteView text) {
  static const bool here = has_instructions();
  if (here) return finish(State{}, text, 0);
  thread_local Sha256Hasher hasher;
  return hasher.digest(text);
}

std::array<Sha256, 2> sha256_pair(ByteView first, ByteView second) {
  static const bool together = has_instructions();
  if (!together) {
    thread_local Sha256Hasher hasher;
    return {hasher.digest(first), hasher.digest(second)};
  }
  State states[2];
  const std::byte* const texts[2] = {first.data(), second.data()};
  const std::size_t blocks = std::min(first.size(), second.size()) / block_bytes;
  compress<2>(states, texts, blocks);
  const std::size_t done = blocks * block_bytes;
  return {finish(states[0], first, done), finish(states[1], second, done)};
}

}  // namespace trialwire
