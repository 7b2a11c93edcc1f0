// SPDX-License-Identifier: Apache-2.0
// Keys made anew in each run of a test, their public halves as PEM and JWK, and tokens.
#pragma once
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "auth/base64url.hpp"
#include "auth/keys.hpp"
#include "auth/signer.hpp"
#include "base/check.hpp"

namespace trialwire::auth::testing {

inline const std::string secret = "a secret of more than thirty-two bytes";

inline std::string pem_of(EVP_PKEY* key, bool with_private) {
  BIO* bio = BIO_new(BIO_s_mem());
  TW_CHECK((with_private ? PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr)
                         : PEM_write_bio_PUBKEY(bio, key)) == 1);
  char* text = nullptr;
  long size = BIO_get_mem_data(bio, &text);
  std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(bio);
  return pem;
}

inline PublicKey make_rsa(unsigned bits = 2048) {
  return PublicKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{bits}));
}
inline PublicKey make_elliptic(const char* curve = "P-256") {
  return PublicKey(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
}

inline Signer signer_of(EVP_PKEY* key) {
  auto signer = Signer::of_pem(pem_of(key, true));
  TW_CHECK(signer.has_value());
  return std::move(*signer);
}

inline std::string number_of(EVP_PKEY* key, const char* name, int bytes = 0) {
  BIGNUM* number = nullptr;
  TW_CHECK(EVP_PKEY_get_bn_param(key, name, &number) == 1);
  std::string raw(static_cast<std::size_t>(bytes == 0 ? BN_num_bytes(number) : bytes), '\0');
  BN_bn2binpad(number, reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(raw.size()));
  BN_free(number);
  std::string text;
  append_base64url(text, raw);
  return text;
}

inline std::string rsa_jwk(EVP_PKEY* key, std::string_view more) {
  return fmt::format(R"({{"kty":"RSA","n":"{}","e":"{}"{}}})",
                     number_of(key, OSSL_PKEY_PARAM_RSA_N), number_of(key, OSSL_PKEY_PARAM_RSA_E),
                     more);
}
inline std::string elliptic_jwk(EVP_PKEY* key, std::string_view more) {
  return fmt::format(R"({{"kty":"EC","crv":"P-256","x":"{}","y":"{}"{}}})",
                     number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, 32),
                     number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, 32), more);
}

inline std::string encoded(std::string_view bytes) {
  std::string text;
  append_base64url(text, bytes);
  return text;
}

}  // namespace trialwire::auth::testing
