// SPDX-License-Identifier: Apache-2.0
// The keys that tokens may be signed with. A key is of one algorithm for good: what a token's
// header says can only choose among those of the algorithm that it names, so that an RSA key is
// never taken for a secret (RFC 8725, 2.1). A token's `kid` is compared with names that are known
// here, and nothing else is ever made of it.
//
// Immutable, shared by all threads; each makes its own contexts of it (signature.hpp).
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/types.h>

#include "auth/options.hpp"
#include "auth/secret.hpp"
#include "base/error.hpp"

namespace trialwire::auth {

struct FreeKey {
  void operator()(EVP_PKEY* key) const noexcept;
};
using PublicKey = std::unique_ptr<EVP_PKEY, FreeKey>;

struct Key {
  Algorithm algorithm = Algorithm::hs256;
  std::string id;  // empty: it has none
  Secret secret;   // of HS256
  PublicKey key;   // of the others
};

struct KeySet {
  std::vector<Key> keys;
  std::size_t skipped = 0;  // keys of a JWKS that are of no algorithm that is known here
};

/// Reads all files, and adds the keys of a JWKS that was fetched, if there is one. Errors name the
/// file and what is wrong with it, never its content: invalid_argument (a weak secret, no key, a
/// private key where a public one belongs), and those of read_guarded_file.
Result<KeySet> load_keys(const KeyOptions& options, std::string_view fetched = {});

/// A file's bytes: a JWKS when it begins with '{', else PEM.
Result<KeySet> parse_keys(std::string_view text);

/// A secret as it is in a file, whose last end of line does not count.
Result<Secret> read_secret(const std::filesystem::path& path, bool allow_weak);

}  // namespace trialwire::auth
