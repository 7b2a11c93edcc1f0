// SPDX-License-Identifier: Apache-2.0
// Why a request's token was not taken: a metric's label, and what the client is told.
#pragma once
#include <cstdint>
#include <string_view>

namespace trialwire::auth {

enum class Refusal : std::uint8_t {
  missing,    // no Authorization header, or none of scheme Bearer
  ambiguous,  // two Authorization headers
  malformed,  // no compact JWS, base64url, JSON, or a name twice
  too_large,
  algorithm,    // none, or one that is not allowed
  critical,     // an extension that must be understood, and is not
  unknown_key,  // no key of that id and algorithm
  signature,
  no_expiry,
  expired,
  not_yet_valid,
  issued_in_future,
  issuer,
  audience,
  claims,  // one that decides what may be seen has another type, or an empty name
  scope,   // verified; the route wants another scope
  role,    // verified; the route wants a role besides
  count_,
};

/// "not_yet_valid".
std::string_view label_of(Refusal refusal) noexcept;
/// One line for the client, in characters that a quoted string of a header may have. Nothing of
/// the token.
std::string_view text_of(Refusal refusal) noexcept;

}  // namespace trialwire::auth
