// SPDX-License-Identifier: Apache-2.0
// Settings of authentication.
#include "config/schema_rows.hpp"

namespace trialwire::config::schema {
namespace {

constexpr Constraint text{.kind = Kind::text};
constexpr auto in = &AuthSettings::jwt;

void add_keys(std::vector<Descriptor>& rows) {
  using J = JwtSettings;
  rows.push_back(row<&S::auth, in, &J::secret_file>(
      "auth.jwt.secret_file", text,
      "File of the secret that HS256 tokens are signed with: at least 32 bytes, its last end of "
      "line not counted, mode 0600."));
  rows.push_back(row<&S::auth, in, &J::previous_secret_file>(
      "auth.jwt.previous_secret_file", text,
      "File of the secret of before, whose tokens are still taken while it is there."));
  rows.push_back(row<&S::auth, in, &J::allow_weak_secret>(
      "auth.jwt.allow_weak_secret", boolean, "Permits secrets of fewer than 32 bytes."));
  rows.push_back(row<&S::auth, in, &J::jwks>(
      "auth.jwt.jwks", text,
      "File of the public keys that RS256 and ES256 tokens are signed with: a JWKS, or PEM of keys "
      "or certificates."));
  rows.push_back(row<&S::auth, in, &J::jwks_url>(
      "auth.jwt.jwks_url", {.kind = Kind::url},
      "URL of an identity provider's JWKS, beside or in place of files: https, or http on this "
      "machine. Until it was fetched once its tokens are answered 401.",
      true));
  rows.push_back(row<&S::auth, in, &J::jwks_refresh>(
      "auth.jwt.jwks_refresh", duration(second, 24 * hour),
      "How often it is fetched. One that cannot be used leaves the keys of before in force."));
  rows.push_back(row<&S::auth, in, &J::jwks_refresh_min>(
      "auth.jwt.jwks_refresh_min", duration(100 * ms, hour),
      "How soon it may be fetched again: for a token whose key is not known, or after a failure."));
  rows.push_back(row<&S::auth, in, &J::algorithms>(
      "auth.jwt.algorithms", {.kind = Kind::choice_list, .choices = token_algorithm_names},
      "Signatures that are taken, each only of keys that are of it."));
  rows.push_back(row<&S::auth, in, &J::refresh>(
      "auth.jwt.refresh", duration(second, 24 * hour),
      "How often it is looked whether key files have changed. Broken ones leave the old keys in "
      "force."));
}

void add_claims(std::vector<Descriptor>& rows) {
  using C = ClaimSettings;
  constexpr auto of = &JwtSettings::claims;
  constexpr Constraint claim{.kind = Kind::text, .minimum = 1};
  rows.push_back(row<&S::auth, in, of, &C::name>(
      "auth.jwt.claims.name", claim,
      "Claim of who it is: a name, or a JSON Pointer such as /realm_access/roles."));
  rows.push_back(row<&S::auth, in, of, &C::roles>("auth.jwt.claims.roles", claim,
                                                  "Claim of roles: an array, or words."));
  rows.push_back(row<&S::auth, in, of, &C::studies>(
      "auth.jwt.claims.studies", claim,
      "Claim of studies: an array or one; \"*\" is all. Without it nothing is read."));
  rows.push_back(row<&S::auth, in, of, &C::sites>(
      "auth.jwt.claims.sites", claim,
      "Claim of sites: an array or one; without it all sites of the studies."));
  rows.push_back(row<&S::auth, in, of, &C::subject>(
      "auth.jwt.claims.subject", claim,
      "Claim of the one patient that the token reads and writes for."));
  rows.push_back(row<&S::auth, in, of, &C::scope>("auth.jwt.claims.scope", claim,
                                                  "Claim of scopes: words, or an array."));
}

}  // namespace

void add_auth(std::vector<Descriptor>& rows) {
  using J = JwtSettings;
  rows.push_back(row<&S::auth, &AuthSettings::mode>(
      "auth.mode", choice(auth_mode_names),
      "none: everybody may do everything. jwt: each request wants a bearer token."));
  add_keys(rows);
  rows.push_back(row<&S::auth, in, &J::issuer>("auth.jwt.issuer", text,
                                               "What a token's iss must be; empty: anything."));
  rows.push_back(row<&S::auth, in, &J::audience>(
      "auth.jwt.audience", text, "What a token's aud must be or hold; empty: anything."));
  rows.push_back(row<&S::auth, in, &J::skew>(
      "auth.jwt.skew", duration(0, hour),
      "How far clocks may be apart when exp, nbf and iat are looked at; whole seconds."));
  rows.push_back(
      row<&S::auth, in, &J::token_bytes>("auth.jwt.token_bytes", bytes(256, 64 * kib),
                                         "Largest token; a larger one is answered 401."));
  rows.push_back(row<&S::auth, in, &J::cache_bytes>(
      "auth.jwt.cache_bytes", bytes(0, 4 * gib),
      "Memory for tokens that were verified, of all I/O threads together; 0 verifies every "
      "request's."));
  add_claims(rows);
}

}  // namespace trialwire::config::schema
