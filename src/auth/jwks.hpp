// SPDX-License-Identifier: Apache-2.0
// Keys as an identity provider publishes them (RFC 7517, RFC 7518).
#pragma once
#include <string_view>

#include "auth/keys.hpp"

namespace trialwire::auth {

constexpr int rsa_bits_min = 2048;
constexpr int rsa_bits_max = 8192;

/// RSA keys for RS256 and keys on P-256 for ES256; those that are for encryption, or of another
/// algorithm, are counted and left out. A key that says it is one of ours and is malformed, weak or
/// private makes the whole set wrong. No error repeats what is in the set.
Result<KeySet> parse_jwks(std::string_view text);

/// The key with the algorithm that it is of; an error when it is weak, or of none.
Result<Key> usable_key(PublicKey key);

}  // namespace trialwire::auth
