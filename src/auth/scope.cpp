// SPDX-License-Identifier: Apache-2.0
#include "auth/scope.hpp"

#include <algorithm>
#include <array>

#include "base/check.hpp"

namespace trialwire::auth {
namespace {

constexpr std::array<std::string_view, static_cast<std::size_t>(Scope::count_)> names{
    "reports:write", "vitals:write", "metrics:write", "projects:write",
    "imaging:write", "records:read", "alerts:ack",    "admin"};

}  // namespace

std::string_view name_of(Scope scope) noexcept {
  auto place = static_cast<std::size_t>(scope);
  TW_CHECK(place < names.size());
  return names[place];
}

std::optional<Scope> scope_of(std::string_view name) noexcept {
  const auto* found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Scope>(found - names.begin());
}

}  // namespace trialwire::auth
