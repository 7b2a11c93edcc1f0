// SPDX-License-Identifier: Apache-2.0
// What a token may be for: each route wants one of these. None holds another: `admin` writes no
// report, and a set that lacks the one that is wanted is refused by name.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace trialwire::auth {

enum class Scope : std::uint8_t {
  reports_write,
  vitals_write,
  metrics_write,
  projects_write,
  imaging_write,
  records_read,
  alerts_ack,
  admin,
  count_,
};

/// "reports:write".
std::string_view name_of(Scope scope) noexcept;
std::optional<Scope> scope_of(std::string_view name) noexcept;

class Scopes {
 public:
  constexpr bool has(Scope scope) const noexcept { return (bits_ >> index(scope) & 1) != 0; }
  constexpr void add(Scope scope) noexcept { bits_ |= 1U << index(scope); }
  static constexpr Scopes all() noexcept {
    Scopes every;
    every.bits_ = (1U << index(Scope::count_)) - 1;
    return every;
  }

 private:
  static constexpr unsigned index(Scope scope) noexcept { return static_cast<unsigned>(scope); }
  std::uint32_t bits_ = 0;
};

}  // namespace trialwire::auth
