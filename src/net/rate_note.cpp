// SPDX-License-Identifier: Apache-2.0
#include "net/rate_note.hpp"

#include <charconv>
#include <cstring>
#include <utility>

#include "base/check.hpp"

namespace trialwire::net {

RateLines::RateLines(std::string policy) : policy_(std::move(policy)) {
  const std::string_view name = std::string_view(policy_).substr(0, policy_.find(';'));
  // 60 bytes of what is fixed and of two numbers; the policy, and its name once more.
  constexpr std::size_t name_max = 32;
  TW_CHECK(policy_.size() <= rate_lines_max / 2 && name.size() <= name_max);
  begin_.append("RateLimit-Policy: ").append(policy_).append("\r\nRateLimit: ").append(name);
  begin_ += ";r=";
}

std::string_view RateLines::write(const RateNote& note,
                                  std::array<char, rate_lines_max>& room) const noexcept {
  char* p = room.data();
  auto put = [&p](std::string_view text) {
    std::memcpy(p, text.data(), text.size());
    p += text.size();
  };
  auto number = [&p](std::uint32_t value) { p = std::to_chars(p, p + 10, value).ptr; };
  put(begin_);
  number(note.remaining);
  put(";t=");
  number(note.until_s);
  put("\r\n");
  return {room.data(), static_cast<std::size_t>(p - room.data())};
}

}  // namespace trialwire::net
