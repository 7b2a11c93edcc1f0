// SPDX-License-Identifier: Apache-2.0
#include "auth/principal.hpp"

#include <algorithm>

namespace trialwire::auth {

bool Named::lists(std::string_view name) const noexcept {
  return std::ranges::find(names, name) != names.end();
}

bool Principal::has_role(std::string_view role) const noexcept {
  return std::ranges::find(roles, role) != roles.end();
}

Foreign foreign(const Principal& who, const About& record) noexcept {
  auto beyond = [](const Named& allowed, std::string_view name) {
    return allowed.kind == Named::Kind::listed && !allowed.lists(name);
  };
  if (who.subject && *who.subject != record.patient) return Foreign::subject;
  if (beyond(who.studies, record.study)) return Foreign::study;
  if (beyond(who.sites, record.site)) return Foreign::site;
  return Foreign::none;
}

const Principal& anonymous() noexcept {
  static const Principal everybody{.name = {},
                                   .scopes = Scopes::all(),
                                   .roles = {},
                                   .studies = {Named::Kind::all, {}},
                                   .sites = {Named::Kind::all, {}},
                                   .subject = std::nullopt};
  return everybody;
}

}  // namespace trialwire::auth
