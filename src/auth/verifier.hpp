// SPDX-License-Identifier: Apache-2.0
// From a token's text to a principal: a JWT (RFC 7519) signed as compact JWS (RFC 7515), checked in
// this order, cheapest first, and nothing of a claim is read before the signature holds:
//
//   size → three parts → header → algorithm → extensions → key → signature →
//   claims' JSON → exp → nbf → iat → iss → aud → who it is
//
// One a thread. Time is passed in.
#pragma once
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/claim_reader.hpp"
#include "auth/options.hpp"
#include "auth/principal.hpp"
#include "auth/refusal.hpp"
#include "auth/signature.hpp"

namespace trialwire::auth {

/// A verified token: valid from `from_s` until before `until_s`, seconds since the Unix epoch, the
/// skew included.
struct Verified {
  Principal principal;
  std::int64_t from_s = 0;
  std::int64_t until_s = 0;
};

class Verifier {
 public:
  Verifier(const TokenOptions& options, std::shared_ptr<const KeySet> keys);

  std::expected<Verified, Refusal> verify(std::string_view token, std::int64_t now_s);

  /// Of the last token, whose key was not there or has not signed it: whether another set of keys
  /// would hardly help. True for secrets, which are in no set, and where the key is known by name.
  bool knew_key() const noexcept {
    return !header_ || *header_ == Algorithm::hs256 || signatures_.knows(*header_, header_id_);
  }

 private:
  std::expected<Algorithm, Refusal> read_header(std::string_view encoded);
  std::expected<Verified, Refusal> read_claims_of(std::string_view json, std::int64_t now_s);

  const TokenOptions options_;
  const std::vector<std::string> claim_pointers_;
  SignatureChecker signatures_;
  // Kept for their memory, and the header for being the same as that of the token before.
  std::string header_text_;
  std::string header_id_;
  std::expected<Algorithm, Refusal> header_{std::unexpect, Refusal::malformed};
  std::string decoded_;
  std::string signature_;
  std::vector<Claim> claims_;
};

}  // namespace trialwire::auth
