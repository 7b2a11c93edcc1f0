// SPDX-License-Identifier: Apache-2.0
#include "net/rate_note.hpp"

#include <charconv>
#include <cstring>

#include "base/check.hpp"

namespace trialwire::net {

std::string_view rate_lines(std::string_view policy, const RateNote& note,
                            std::array<char, rate_lines_max>& room) noexcept {
  const std::string_view name = policy.substr(0, policy.find(';'));
  // 60 bytes of what is fixed and of two numbers; the policy, and its name once more.
  constexpr std::size_t name_max = 32;
  TW_CHECK(policy.size() <= rate_lines_max / 2 && name.size() <= name_max);
  char* p = room.data();
  auto put = [&p](std::string_view text) {
    std::memcpy(p, text.data(), text.size());
    p += text.size();
  };
  auto number = [&p](std::uint32_t value) { p = std::to_chars(p, p + 10, value).ptr; };
  put("RateLimit-Policy: ");
  put(policy);
  put("\r\nRateLimit: ");
  put(name);
  put(";r=");
  number(note.remaining);
  put(";t=");
  number(note.until_s);
  put("\r\n");
  return {room.data(), static_cast<std::size_t>(p - room.data())};
}

}  // namespace trialwire::net
