// SPDX-License-Identifier: Apache-2.0
#include "auth/refusal.hpp"

#include <array>

#include "base/check.hpp"

namespace trialwire::auth {
namespace {

struct Words {
  std::string_view label;
  std::string_view text;
};

constexpr std::array<Words, static_cast<std::size_t>(Refusal::count_)> table{{
    {"missing", "a bearer token is required"},
    {"ambiguous", "the Authorization header may be given once"},
    {"malformed", "the token is not a signed JWT"},
    {"too_large", "the token is too large"},
    {"algorithm", "the token's algorithm is not accepted"},
    {"critical", "the token has an extension that is not understood"},
    {"unknown_key", "the token's key is not known"},
    {"signature", "the token's signature does not match"},
    {"no_expiry", "the token does not expire"},
    {"expired", "the token is expired"},
    {"not_yet_valid", "the token is not valid yet"},
    {"issued_in_future", "the token was issued in the future"},
    {"issuer", "the token is of another issuer"},
    {"audience", "the token is for another audience"},
    {"claims", "a claim of the token has the wrong form"},
    {"scope", "the token lacks a scope"},
    {"role", "the token lacks a role"},
}};

const Words& words(Refusal refusal) noexcept {
  auto place = static_cast<std::size_t>(refusal);
  TW_CHECK(place < table.size());
  return table[place];
}

}  // namespace

std::string_view label_of(Refusal refusal) noexcept {
  return words(refusal).label;
}

std::string_view text_of(Refusal refusal) noexcept {
  return words(refusal).text;
}

}  // namespace trialwire::auth
