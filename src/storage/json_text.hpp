// SPDX-License-Identifier: Apache-2.0
// JSON strings and numbers appended to an answer that is being written. Text is UTF-8 already
// (intake checks).
#pragma once
#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace trialwire::storage {

/// With quotes; escapes what RFC 8259 wants escaped and nothing else.
inline void append_json_string(std::string& to, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  to += '"';
  std::size_t plain = 0;  // start of what is not written yet
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    to.append(text, plain, i - plain);
    plain = i + 1;
    to += '\\';
    switch (byte) {
      case '\n':
        to += 'n';
        break;
      case '\r':
        to += 'r';
        break;
      case '\t':
        to += 't';
        break;
      case '"':
      case '\\':
        to += static_cast<char>(byte);
        break;
      default:
        to += "u00";
        to += hex[byte >> 4];
        to += hex[byte & 15];
    }
  }
  to.append(text, plain);
  to += '"';
}

/// An integer in decimal.
void append_number(std::string& to, std::integral auto number) {
  std::array<char, 24> digits;
  to.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

}  // namespace trialwire::storage
