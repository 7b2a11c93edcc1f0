// SPDX-License-Identifier: Apache-2.0
// Tokens and keys from strangers. After a byte that chooses the form: a token's text as it is; a
// header and claims, cut apart by a zero byte and signed with our secret or with another; a set of
// keys. A token that is not signed with our secret is never taken. One that is taken has an expiry
// that is not over, is taken again alike, and is not taken with a byte of it changed.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

#include "auth/jwks.hpp"
#include "auth/signer.hpp"
#include "auth/verifier.hpp"
#include "base/check.hpp"

namespace {

using namespace trialwire;
using namespace trialwire::auth;

constexpr std::int64_t now_s = 1'772'352'930;

const std::string ours = "a secret of more than thirty-two bytes";
const std::string theirs = "another secret of more than thirty-two";

std::shared_ptr<const KeySet> our_keys() {
  auto set = std::make_shared<KeySet>();
  set->keys.push_back({Algorithm::hs256, {}, Secret(ours), nullptr});
  set->keys.push_back({Algorithm::hs256, "named", Secret(ours), nullptr});
  return set;
}

void check_taken(const Verified& verified, std::string token) {
  TW_CHECK(verified.until_s > now_s && verified.from_s <= now_s);
  TW_CHECK(!verified.principal.name.empty() && verified.principal.name.size() <= 255);
  TW_CHECK(!verified.principal.subject || !verified.principal.subject->empty());
  Verifier another({}, our_keys());
  auto again = another.verify(token, now_s);
  TW_CHECK(again && again->principal.name == verified.principal.name);
  TW_CHECK(!another.verify(token, verified.until_s));
  std::size_t place = token.size() / 2;
  token[place] = token[place] == 'A' ? 'B' : 'A';
  TW_CHECK(!another.verify(token, now_s));
}

void try_token(const std::string& token, bool signed_by_us) {
  static Verifier verifier({}, our_keys());
  auto verified = verifier.verify(token, now_s);
  if (!verified) return;
  TW_CHECK(signed_by_us);
  check_taken(*verified, token);
}

void try_keys(std::string_view text) {
  auto keys = parse_keys(text);
  if (!keys) {
    TW_CHECK(keys.error().code == ErrorCode::invalid_argument && !keys.error().text.empty());
    return;
  }
  TW_CHECK(!keys->keys.empty());
  for (const Key& key : keys->keys) {
    TW_CHECK(key.key != nullptr && key.algorithm != Algorithm::hs256);
    TW_CHECK(key.algorithm != Algorithm::rs256 || EVP_PKEY_get_bits(key.key.get()) >= rsa_bits_min);
  }
  SignatureChecker checker(std::make_shared<KeySet>(std::move(*keys)));
  TW_CHECK(checker.check(Algorithm::rs256, "", text, text).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  const unsigned form = data[0] % 4;
  if (form == 0) {
    try_token(std::string(text), false);
  } else if (form == 3) {
    try_keys(text);
  } else {
    std::size_t cut = std::min(text.find('\0'), text.size());
    std::string_view claims = text.substr(std::min(cut + 1, text.size()));
    auto token =
        Signer::of_secret(form == 1 ? ours : theirs).sign_with_header(text.substr(0, cut), claims);
    TW_CHECK(token.has_value());
    try_token(*token, form == 1);
  }
  return 0;
}
