// SPDX-License-Identifier: Apache-2.0
// UTF-8 that is known to be valid.
#pragma once
#include <cstddef>
#include <string_view>

namespace trialwire {

/// The beginning of `text`, at most so many bytes, whole characters.
constexpr std::string_view utf8_prefix(std::string_view text, std::size_t bytes_max) noexcept {
  if (text.size() <= bytes_max) return text;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return text.substr(0, end);
}

}  // namespace trialwire
