// SPDX-License-Identifier: Apache-2.0
#include "auth_options.hpp"

#include <algorithm>
#include <chrono>

namespace trialwire {

auth::KeyOptions key_options(const config::JwtSettings& settings) {
  auth::KeyOptions options;
  options.secret_file = settings.secret_file;
  options.previous_secret_file = settings.previous_secret_file;
  options.allow_weak_secret = settings.allow_weak_secret;
  if (!settings.jwks.empty()) options.key_files.emplace_back(settings.jwks);
  return options;
}

auth::TokenOptions token_options(const config::JwtSettings& settings) {
  auth::TokenOptions options;
  options.algorithms.clear();
  for (const std::string& name : settings.algorithms) {
    const auto* known = std::ranges::find(auth::algorithm_names, name);
    options.algorithms.push_back(
        static_cast<auth::Algorithm>(known - auth::algorithm_names.begin()));
  }
  options.issuer = settings.issuer;
  options.audience = settings.audience;
  options.skew = std::chrono::floor<std::chrono::seconds>(settings.skew);
  const config::ClaimSettings& claims = settings.claims;
  options.claims = {claims.name,  claims.roles,   claims.studies,
                    claims.sites, claims.subject, claims.scope};
  options.token_bytes_max = settings.token_bytes;
  return options;
}

auth::Authenticator::Options authenticator_options(const config::JwtSettings& settings,
                                                   std::size_t shards) {
  return {.tokens = token_options(settings), .cache_bytes_max = settings.cache_bytes / shards};
}

}  // namespace trialwire
