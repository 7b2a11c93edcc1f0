// SPDX-License-Identifier: Apache-2.0
// The claims of a token that is issued for development, as JSON text.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "auth/options.hpp"
#include "auth/verifier.hpp"
#include "base/error.hpp"

namespace trialwire {

struct TokenContent {
  std::string name;
  std::string subject;
  std::vector<std::string> roles, studies, sites, scopes;
  std::int64_t issued_s = 0;
  std::int64_t expires_s = 0;
};

/// Under the names, and with the issuer and audience, that the options want; what is empty is left
/// out. Errors: invalid_argument where two names are of one place.
Result<std::string> claims_json(const TokenContent& content, const auth::TokenOptions& options);

/// What a verified token says, as one JSON object.
std::string verified_json(const auth::Verified& verified);

}  // namespace trialwire
