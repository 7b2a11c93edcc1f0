// SPDX-License-Identifier: Apache-2.0
#include "net/request_timeout.hpp"

#include <algorithm>

namespace trialwire::net {
namespace {

constexpr std::uint32_t day_ms = 86'400'000;

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

}  // namespace

std::uint32_t request_timeout_ms(std::string_view value) noexcept {
  std::uint64_t ms = 0;
  std::size_t at = 0;
  for (; at < value.size() && is_digit(value[at]); ++at) {
    ms = std::min<std::uint64_t>(ms * 10 + static_cast<std::uint64_t>(value[at] - '0'), day_ms);
  }
  if (at == 0) return 0;
  ms *= 1'000;
  if (at < value.size()) {
    const std::string_view behind = value.substr(at + 1);
    if (value[at] != '.' || behind.empty() || behind.size() > 3) return 0;
    std::uint64_t unit = 100;
    for (const char digit : behind) {
      if (!is_digit(digit)) return 0;
      ms += static_cast<std::uint64_t>(digit - '0') * unit;
      unit /= 10;
    }
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(ms, day_ms));
}

}  // namespace trialwire::net
