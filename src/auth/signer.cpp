// SPDX-License-Identifier: Apache-2.0
#include "auth/signer.hpp"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <array>
#include <boost/json/serialize.hpp>
#include <memory>
#include <utility>

#include "auth/base64url.hpp"
#include "auth/jwks.hpp"

namespace trialwire::auth {
namespace {

const unsigned char* bytes_of(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
struct FreeDigest {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
struct FreeSignature {
  void operator()(ECDSA_SIG* signature) const noexcept { ECDSA_SIG_free(signature); }
};

std::unexpected<Error> cannot_sign() {
  return fail(ErrorCode::internal, "the token could not be signed");
}

/// DER as JOSE has it: r and s, 32 bytes each.
Result<std::string> raw_of_der(std::string_view der) {
  const unsigned char* at = bytes_of(der);
  std::unique_ptr<ECDSA_SIG, FreeSignature> parsed(
      d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  std::array<unsigned char, 64> raw{};
  if (!parsed || BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), raw.data(), 32) != 32 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), raw.data() + 32, 32) != 32) {
    return cannot_sign();
  }
  return std::string(raw.begin(), raw.end());
}

}  // namespace

Signer Signer::of_secret(Secret secret) {
  return {Algorithm::hs256, std::move(secret), nullptr};
}

Result<Signer> Signer::of_pem(std::string_view text) {
  std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  // No pass phrase is asked for: an encrypted key is none here.
  auto no_phrase = [](char*, int, int, void*) { return -1; };
  PublicKey key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_phrase, nullptr));
  if (!key) {
    return fail(ErrorCode::invalid_argument, "is no private key in PEM without a pass phrase");
  }
  auto usable = usable_key(std::move(key));
  if (!usable) return std::unexpected(usable.error());
  return Signer(usable->algorithm, {}, std::move(usable->key));
}

Result<std::string> Signer::signature(std::string_view text) const {
  if (algorithm_ == Algorithm::hs256) {
    std::array<unsigned char, 32> mac{};
    if (HMAC(EVP_sha256(), secret_.view().data(), static_cast<int>(secret_.view().size()),
             bytes_of(text), text.size(), mac.data(), nullptr) == nullptr) {
      return cannot_sign();
    }
    return std::string(mac.begin(), mac.end());
  }
  std::unique_ptr<EVP_MD_CTX, FreeDigest> context(EVP_MD_CTX_new());
  std::size_t size = 0;
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes_of(text), text.size()) != 1) {
    return cannot_sign();
  }
  std::string made(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(made.data()), &size,
                     bytes_of(text), text.size()) != 1) {
    return cannot_sign();
  }
  made.resize(size);
  return algorithm_ == Algorithm::es256 ? raw_of_der(made) : made;
}

Result<std::string> Signer::sign_with_header(std::string_view header_json,
                                             std::string_view claims_json) const {
  std::string token;
  append_base64url(token, header_json);
  token += '.';
  append_base64url(token, claims_json);
  auto made = signature(token);
  if (!made) return made;
  token += '.';
  append_base64url(token, *made);
  return token;
}

Result<std::string> Signer::sign(std::string_view claims_json, std::string_view key_id) const {
  std::string header = R"({"alg":")";
  header += algorithm_names[static_cast<std::size_t>(algorithm_)];
  header += R"(","typ":"JWT")";
  if (!key_id.empty()) {
    header += R"(,"kid":)";
    header += boost::json::serialize(boost::json::string_view(key_id.data(), key_id.size()));
  }
  return sign_with_header(header + "}", claims_json);
}

}  // namespace trialwire::auth
