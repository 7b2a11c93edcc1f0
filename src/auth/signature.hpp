// SPDX-License-Identifier: Apache-2.0
// Checks signatures with the keys of one set. One a thread: OpenSSL's contexts are set up once, for
// looking an algorithm up and keying it costs more than the HMAC of a token does.
#pragma once
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <openssl/types.h>

#include "auth/keys.hpp"
#include "auth/refusal.hpp"

namespace trialwire::auth {

class SignatureChecker {
 public:
  explicit SignatureChecker(std::shared_ptr<const KeySet> keys);
  ~SignatureChecker();
  SignatureChecker(const SignatureChecker&) = delete;
  SignatureChecker& operator=(const SignatureChecker&) = delete;

  /// Nothing, when a key of that algorithm and id has signed `signed_text`; else unknown_key or
  /// signature. Without an id, or where the id is no key's, keys that have none are tried, and
  /// without an id the others after them: tried_keys_max in all.
  std::optional<Refusal> check(Algorithm algorithm, std::string_view key_id,
                               std::string_view signed_text, std::string_view signature);

  /// Whether there is a key of that algorithm and id; without an id, of that algorithm.
  bool knows(Algorithm algorithm, std::string_view key_id) const noexcept;

 private:
  struct Ready;
  bool matches(Ready& key, std::string_view signed_text, std::string_view signature);
  bool hmac_matches(Ready& key, std::string_view text, std::string_view signature);

  std::shared_ptr<const KeySet> keys_;  // shared with the other threads' checkers
  std::vector<std::unique_ptr<Ready>> ready_;
  struct FreeDigest {
    void operator()(EVP_MD_CTX* context) const noexcept;
  };
  std::unique_ptr<EVP_MD_CTX, FreeDigest> digest_;
};

}  // namespace trialwire::auth
