// SPDX-License-Identifier: Apache-2.0
#include "auth/signature.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "base/check.hpp"

namespace trialwire::auth {
namespace {

constexpr std::size_t digest_bytes = 32;
constexpr std::size_t es256_bytes = 64;

const unsigned char* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

/// r and s as JOSE has them, 32 bytes each, as the DER that OpenSSL wants: at most 72 bytes.
struct EcdsaDer {
  std::array<unsigned char, 80> bytes{};
  std::size_t size = 0;

  explicit EcdsaDer(std::string_view raw) noexcept {
    bytes[0] = 0x30;
    size = 2;
    add(raw.substr(0, es256_bytes / 2));
    add(raw.substr(es256_bytes / 2));
    bytes[1] = static_cast<unsigned char>(size - 2);
  }

 private:
  void add(std::string_view number) noexcept {
    std::size_t zeros = 0;
    while (zeros + 1 < number.size() && number[zeros] == 0) ++zeros;
    number.remove_prefix(zeros);
    const bool negative = (static_cast<unsigned char>(number.front()) & 0x80U) != 0;
    bytes[size++] = 0x02;
    bytes[size++] = static_cast<unsigned char>(number.size() + (negative ? 1 : 0));
    if (negative) bytes[size++] = 0;
    for (char c : number) bytes[size++] = static_cast<unsigned char>(c);
  }
};

struct FreeMac {
  void operator()(EVP_MAC_CTX* context) const noexcept { EVP_MAC_CTX_free(context); }
};
struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
};
using Mac = std::unique_ptr<EVP_MAC_CTX, FreeMac>;
using Context = std::unique_ptr<EVP_PKEY_CTX, FreeContext>;

Mac make_mac(std::string_view secret) {
  EVP_MAC* hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  TW_CHECK(hmac != nullptr);
  Mac context(EVP_MAC_CTX_new(hmac));
  EVP_MAC_free(hmac);
  std::array<char, 7> digest{"SHA256"};
  const std::array<OSSL_PARAM, 2> params{
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_end()};
  TW_CHECK(context != nullptr &&
           EVP_MAC_init(context.get(), bytes_of(secret), secret.size(), params.data()) == 1);
  return context;
}

Context make_context(const Key& key) {
  Context context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.key.get(), nullptr));
  TW_CHECK(context != nullptr && EVP_PKEY_verify_init(context.get()) == 1);
  if (key.algorithm == Algorithm::rs256) {
    TW_CHECK(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1);
  }
  TW_CHECK(EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) == 1);
  return context;
}

}  // namespace

struct SignatureChecker::Ready {
  const Key& key;
  Mac mac;
  Context context;
};

void SignatureChecker::FreeDigest::operator()(EVP_MD_CTX* context) const noexcept {
  EVP_MD_CTX_free(context);
}

SignatureChecker::SignatureChecker(std::shared_ptr<const KeySet> keys)
    : keys_(std::move(keys)), digest_(EVP_MD_CTX_new()) {
  TW_CHECK(digest_ != nullptr && EVP_DigestInit_ex(digest_.get(), EVP_sha256(), nullptr) == 1);
  for (const Key& key : keys_->keys) {
    auto ready = std::make_unique<Ready>(key);
    if (key.algorithm == Algorithm::hs256) {
      ready->mac = make_mac(key.secret.view());
    } else {
      ready->context = make_context(key);
    }
    ready_.push_back(std::move(ready));
  }
}

SignatureChecker::~SignatureChecker() = default;

std::optional<Refusal> SignatureChecker::check(Algorithm algorithm, std::string_view key_id,
                                               std::string_view signed_text,
                                               std::string_view signature) {
  std::size_t tried = 0;
  auto one_of = [&](auto wanted) {
    for (auto& ready : ready_) {
      if (ready->key.algorithm != algorithm || !wanted(ready->key)) continue;
      if (tried == tried_keys_max) return false;
      ++tried;
      if (matches(*ready, signed_text, signature)) return true;
    }
    return false;
  };
  if (!key_id.empty()) {
    if (one_of([&](const Key& key) { return key.id == key_id; })) return std::nullopt;
    if (tried != 0) return Refusal::signature;
  }
  if (one_of([](const Key& key) { return key.id.empty(); })) return std::nullopt;
  if (key_id.empty() && one_of([](const Key& key) { return !key.id.empty(); })) {
    return std::nullopt;
  }
  return tried != 0 ? Refusal::signature : Refusal::unknown_key;
}

bool SignatureChecker::knows(Algorithm algorithm, std::string_view key_id) const noexcept {
  return std::ranges::any_of(keys_->keys, [&](const Key& key) {
    return key.algorithm == algorithm && (key_id.empty() || key.id == key_id);
  });
}

bool SignatureChecker::hmac_matches(Ready& key, std::string_view text, std::string_view signature) {
  std::array<unsigned char, digest_bytes> mac{};
  std::size_t size = 0;
  // Without a key: begins anew with the one it has.
  if (signature.size() != mac.size() || EVP_MAC_init(key.mac.get(), nullptr, 0, nullptr) != 1 ||
      EVP_MAC_update(key.mac.get(), bytes_of(text), text.size()) != 1 ||
      EVP_MAC_final(key.mac.get(), mac.data(), &size, mac.size()) != 1) {
    return false;
  }
  return CRYPTO_memcmp(mac.data(), signature.data(), mac.size()) == 0;
}

bool SignatureChecker::matches(Ready& key, std::string_view signed_text,
                               std::string_view signature) {
  if (key.key.algorithm == Algorithm::hs256) return hmac_matches(key, signed_text, signature);
  if (key.key.algorithm == Algorithm::es256 && signature.size() != es256_bytes) return false;
  std::array<unsigned char, digest_bytes> digest{};
  unsigned size = 0;
  if (EVP_DigestInit_ex(digest_.get(), nullptr, nullptr) != 1 ||
      EVP_DigestUpdate(digest_.get(), signed_text.data(), signed_text.size()) != 1 ||
      EVP_DigestFinal_ex(digest_.get(), digest.data(), &size) != 1) {
    return false;
  }
  int verdict = 0;
  if (key.key.algorithm == Algorithm::es256) {
    const EcdsaDer der(signature);
    verdict = EVP_PKEY_verify(key.context.get(), der.bytes.data(), der.size, digest.data(), size);
  } else {
    verdict = EVP_PKEY_verify(key.context.get(), bytes_of(signature), signature.size(),
                              digest.data(), size);
  }
  // A signature that does not match leaves its reason in the thread's queue, where another use of
  // the library would find it.
  if (verdict != 1) ERR_clear_error();
  return verdict == 1;
}

}  // namespace trialwire::auth
