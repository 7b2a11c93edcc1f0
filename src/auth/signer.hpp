// SPDX-License-Identifier: Apache-2.0
// Signs tokens: for development and tests, where no identity provider is. The server signs none.
#pragma once
#include <string>
#include <string_view>

#include "auth/keys.hpp"
#include "auth/options.hpp"
#include "base/error.hpp"

namespace trialwire::auth {

class Signer {
 public:
  static Signer of_secret(Secret secret);
  static Signer of_secret(std::string_view secret) { return of_secret(Secret(secret)); }
  /// A private key in PEM, not encrypted. Errors: invalid_argument.
  static Result<Signer> of_pem(std::string_view text);

  Algorithm algorithm() const noexcept { return algorithm_; }
  /// A compact JWS over the claims, which are the text of a JSON object. Without an id there is no
  /// `kid`. Errors: internal.
  Result<std::string> sign(std::string_view claims_json, std::string_view key_id = {}) const;
  /// The same under another header.
  Result<std::string> sign_with_header(std::string_view header_json,
                                       std::string_view claims_json) const;

 private:
  Signer(Algorithm algorithm, Secret secret, PublicKey key)
      : algorithm_(algorithm), secret_(std::move(secret)), key_(std::move(key)) {}
  Result<std::string> signature(std::string_view text) const;

  Algorithm algorithm_;
  Secret secret_;
  PublicKey key_;  // with its private part
};

}  // namespace trialwire::auth
