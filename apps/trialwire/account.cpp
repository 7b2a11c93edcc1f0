// SPDX-License-Identifier: Apache-2.0
#include "account.hpp"

#include <pwd.h>
#include <unistd.h>

#include <fmt/format.h>

namespace trialwire {

std::string account_name() {
  const passwd* entry = ::getpwuid(::geteuid());
  return entry != nullptr ? entry->pw_name : fmt::format("uid {}", ::geteuid());
}

}  // namespace trialwire
