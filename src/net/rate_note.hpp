// SPDX-License-Identifier: Apache-2.0
// Where a client stands with its rate, and how an answer says so: the fields RateLimit-Policy and
// RateLimit of draft-ietf-httpapi-ratelimit-headers-11. Pure.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace trialwire::net {

struct RateNote {
  bool present = false;  // false: nothing is said
  std::uint32_t remaining = 0;
  std::uint32_t until_s = 0;  // the next request, when none remains; else the whole burst
};

/// Header lines "RateLimit-Policy: …\r\nRateLimit: "NAME";r=…;t=…\r\n", written into `room`.
/// `policy` is that field's value, at most half as long as the room, and begins with the quoted
/// name: `"address";q=120;w=2`.
constexpr std::size_t rate_lines_max = 192;
std::string_view rate_lines(std::string_view policy, const RateNote& note,
                            std::array<char, rate_lines_max>& room) noexcept;

}  // namespace trialwire::net
