// SPDX-License-Identifier: Apache-2.0
// Where a client stands with its rate, and how an answer says so: the fields RateLimit-Policy and
// RateLimit of draft-ietf-httpapi-ratelimit-headers-11. Pure.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace trialwire::net {

struct RateNote {
  bool present = false;  // false: nothing is said
  std::uint32_t remaining = 0;
  std::uint32_t until_s = 0;  // the next request, when none remains; else the whole burst
};

/// Room for what `RateLines::write` writes.
constexpr std::size_t rate_lines_max = 192;

/// The header lines "RateLimit-Policy: …\r\nRateLimit: "NAME";r=…;t=…\r\n" of one policy.
class RateLines {
 public:
  /// The value of RateLimit-Policy, which begins with the quoted name: `"address";q=120;w=2`. At
  /// most 96 bytes, the name at most 32.
  explicit RateLines(std::string policy);

  std::string_view policy() const noexcept { return policy_; }
  /// Written into `room`.
  std::string_view write(const RateNote& note,
                         std::array<char, rate_lines_max>& room) const noexcept;

 private:
  std::string policy_;
  std::string begin_;  // all before the first number
};

}  // namespace trialwire::net
