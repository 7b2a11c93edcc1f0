// SPDX-License-Identifier: Apache-2.0
#include "storage/page_cursor.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace trialwire::storage {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t version = 2;
constexpr std::size_t signed_bytes = 17;
constexpr std::size_t all_bytes = signed_bytes + 16;  // a multiple of 3: base64 without padding
constexpr std::size_t text_bytes = all_bytes / 3 * 4;
using Plain = std::array<std::uint8_t, all_bytes>;

Hash128 checksum(const Plain& plain, SipKey key) noexcept {
  return siphash(key, std::as_bytes(std::span(plain).first(signed_bytes)));
}

SipKey encryption_key(SipKey key) noexcept {
  constexpr std::string_view purpose = "encryption of page cursors";
  const Hash128 made = siphash(key, std::as_bytes(std::span(purpose)));
  return {made.low, made.high};
}

/// The signed bytes, encrypted or as they were before. The checksum stands behind them.
void turn(Plain& bytes, SipKey key) noexcept {
  constexpr std::size_t sum_bytes = all_bytes - signed_bytes;
  const SipKey own = encryption_key(key);
  std::array<std::uint8_t, sum_bytes + 1> block{};
  std::ranges::copy(std::span(bytes).last(sum_bytes), block.begin());
  std::array<std::uint8_t, 16> stream{};
  for (std::size_t at = 0; at < signed_bytes; at += stream.size()) {
    const Hash128 next = siphash(own, std::as_bytes(std::span(block)));
    store_le(stream.data(), next.low);
    store_le(stream.data() + 8, next.high);
    for (std::size_t i = at; i < std::min(at + stream.size(), signed_bytes); ++i) {
      bytes[i] ^= stream[i - at];
    }
    ++block.back();
  }
}

}  // namespace

std::string encode_page_cursor(const PagePosition& position, SipKey key) {
  Plain plain{version};
  store_le(plain.data() + 1, position.timestamp_ns);
  store_le(plain.data() + 9, position.id);
  Hash128 sum = checksum(plain, key);
  store_le(plain.data() + signed_bytes, sum.low);
  store_le(plain.data() + signed_bytes + 8, sum.high);
  turn(plain, key);
  std::string text;
  text.reserve(text_bytes);
  for (std::size_t i = 0; i < all_bytes; i += 3) {
    unsigned three = (unsigned{plain[i]} << 16) | (unsigned{plain[i + 1]} << 8) | plain[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) text += alphabet[(three >> shift) & 63];
  }
  return text;
}

bool has_page_cursor_form(std::string_view text) noexcept {
  return text.size() == text_bytes && text.find_first_not_of(alphabet) == std::string_view::npos;
}

std::optional<PagePosition> decode_page_cursor(std::string_view text, SipKey key) {
  if (!has_page_cursor_form(text)) return std::nullopt;
  Plain plain{};
  for (std::size_t i = 0; i < text_bytes; i += 4) {
    unsigned three = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      three = (three << 6) | static_cast<unsigned>(alphabet.find(text[i + k]));
    }
    for (std::size_t k = 0; k < 3; ++k) {
      plain[i / 4 * 3 + k] = static_cast<std::uint8_t>(three >> (16 - 8 * k));
    }
  }
  turn(plain, key);
  Hash128 sum = checksum(plain, key);
  Hash128 sent{load_le<std::uint64_t>(plain.data() + signed_bytes),
               load_le<std::uint64_t>(plain.data() + signed_bytes + 8)};
  // Compared without a branch a byte, so that the time taken says nothing.
  bool forged = ((sum.low ^ sent.low) | (sum.high ^ sent.high)) != 0;
  if (forged || plain[0] != version) return std::nullopt;
  return PagePosition{load_le<std::int64_t>(plain.data() + 1),
                      load_le<std::int64_t>(plain.data() + 9)};
}

}  // namespace trialwire::storage
