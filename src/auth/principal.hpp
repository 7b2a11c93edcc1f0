// SPDX-License-Identifier: Apache-2.0
// Who a request is from and what they may do. A plain value, made of a verified token's claims; or
// `anonymous`, while authentication is off, who may do everything.
//
// | claim | absent | named | "*" |
// | --- | --- | --- | --- |
// | studies | reads nothing; writes by scope alone | these, and names one in each record | all |
// | sites | all of the studies | these, and names one in each record | all |
// | subject | anybody | this patient alone, for reading and writing | this patient |
//
// A device gateway that only writes needs no studies; a claim that is spelled wrong in the settings
// must not show everything to everybody.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "auth/scope.hpp"

namespace trialwire::auth {

/// The studies or sites that a token names.
struct Named {
  enum class Kind : std::uint8_t { absent, listed, all };
  Kind kind = Kind::absent;
  std::vector<std::string> names;  // of `listed`
  bool lists(std::string_view name) const noexcept;
};

struct Principal {
  std::string name;  // `sub`, at most 255 bytes; empty: anonymous
  Scopes scopes;
  std::vector<std::string> roles;
  Named studies;
  Named sites;
  std::optional<std::string> subject;

  bool has_role(std::string_view role) const noexcept;
  /// Is there anything that a record could be about and that they may not write of?
  bool writes_anything() const noexcept {
    return !subject && studies.kind != Named::Kind::listed && sites.kind != Named::Kind::listed;
  }
};

/// What a record says it is about; empty: it does not say.
struct About {
  std::string_view patient;
  std::string_view study;
  std::string_view site;
};

enum class Foreign : std::uint8_t { none, subject, study, site };

/// May they write it? Who is limited to patients, studies or sites writes only what says that it is
/// about one of them: what says nothing may be anybody's, and would be taken for theirs later.
Foreign foreign(const Principal& who, const About& record) noexcept;

/// Everybody, while authentication is off.
const Principal& anonymous() noexcept;

}  // namespace trialwire::auth
