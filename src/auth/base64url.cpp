// SPDX-License-Identifier: Apache-2.0
#include "auth/base64url.hpp"

#include <array>
#include <cstdint>

namespace trialwire::auth {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t no_digit = 0xff;
constexpr auto digits = [] {
  std::array<std::uint8_t, 256> values{};
  values.fill(no_digit);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    values[static_cast<std::uint8_t>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}();

std::uint32_t digit(char c) noexcept {
  return digits[static_cast<std::uint8_t>(c)];
}

}  // namespace

bool decode_base64url(std::string_view text, std::string& out) {
  std::size_t rest = text.size() % 4;
  if (rest == 1) return false;
  std::size_t whole = text.size() - rest;
  std::size_t before = out.size();
  std::uint32_t wrong = 0;
  std::size_t bytes = whole / 4 * 3 + (rest == 0 ? 0 : rest - 1);
  out.resize_and_overwrite(before + bytes, [&](char* begin, std::size_t) {
    char* to = begin + before;
    for (std::size_t i = 0; i < whole; i += 4) {
      std::uint32_t a = digit(text[i]), b = digit(text[i + 1]);
      std::uint32_t c = digit(text[i + 2]), d = digit(text[i + 3]);
      wrong |= a | b | c | d;
      std::uint32_t word = a << 18 | b << 12 | c << 6 | d;
      *to++ = static_cast<char>(word >> 16);
      *to++ = static_cast<char>(word >> 8);
      *to++ = static_cast<char>(word);
    }
    if (rest != 0) {
      std::uint32_t a = digit(text[whole]), b = digit(text[whole + 1]);
      std::uint32_t c = rest == 3 ? digit(text[whole + 2]) : 0;
      wrong |= a | b | c;
      *to++ = static_cast<char>(a << 2 | b >> 4);
      if (rest == 3) *to++ = static_cast<char>(b << 4 | c >> 2);
      if ((rest == 3 ? c & 3U : b & 15U) != 0) wrong |= no_digit;
    }
    return static_cast<std::size_t>(to - begin);
  });
  return (wrong & 0xc0) == 0;
}

void append_base64url(std::string& out, std::string_view bytes) {
  std::uint32_t word = 0;
  unsigned bits = 0;
  for (char c : bytes) {
    word = word << 8 | static_cast<std::uint8_t>(c);
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out += alphabet[word >> bits & 63U];
    }
  }
  if (bits != 0) out += alphabet[word << (6 - bits) & 63U];
}

}  // namespace trialwire::auth
