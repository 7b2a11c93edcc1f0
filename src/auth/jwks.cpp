// SPDX-License-Identifier: Apache-2.0
#include "auth/jwks.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <utility>

#include "auth/base64url.hpp"

namespace trialwire::auth {
namespace {

namespace json = boost::json;

struct FreeNumber {
  void operator()(BIGNUM* number) const noexcept { BN_free(number); }
};
struct FreeBuilder {
  void operator()(OSSL_PARAM_BLD* builder) const noexcept { OSSL_PARAM_BLD_free(builder); }
};
struct FreeParams {
  void operator()(OSSL_PARAM* params) const noexcept { OSSL_PARAM_free(params); }
};
struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
};
using Number = std::unique_ptr<BIGNUM, FreeNumber>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, FreeBuilder>;
using Context = std::unique_ptr<EVP_PKEY_CTX, FreeContext>;

std::unexpected<Error> wrong(std::string_view text) {
  return fail(ErrorCode::invalid_argument, std::string(text));
}

/// The text of a member; nothing when there is none, or when it is no text.
std::optional<std::string_view> text_at(const json::object& key, std::string_view name) {
  const json::value* found = key.if_contains(name);
  if (found == nullptr || !found->is_string()) return std::nullopt;
  const json::string& text = found->get_string();
  return std::string_view(text.data(), text.size());
}

std::optional<std::string> bytes_at(const json::object& key, std::string_view name) {
  auto text = text_at(key, name);
  std::string bytes;
  if (!text || !decode_base64url(*text, bytes) || bytes.empty()) return std::nullopt;
  return bytes;
}

Number number_of(const std::string& bytes) {
  return Number(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                          static_cast<int>(bytes.size()), nullptr));
}

PublicKey made_of(OSSL_PARAM_BLD* builder, const char* type) {
  std::unique_ptr<OSSL_PARAM, FreeParams> params(OSSL_PARAM_BLD_to_param(builder));
  Context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return nullptr;
  }
  return PublicKey(key);
}

PublicKey rsa_key(const json::object& key) {
  constexpr std::size_t exponent_bytes_max = 8;
  auto modulus = bytes_at(key, "n");
  auto exponent = bytes_at(key, "e");
  if (!modulus || !exponent || exponent->size() > exponent_bytes_max ||
      modulus->size() > rsa_bits_max / 8 + 1) {
    return nullptr;
  }
  Number n = number_of(*modulus), e = number_of(*exponent);
  // An exponent of one would make every text its own signature.
  if (!n || !e || BN_is_odd(n.get()) == 0 || BN_is_odd(e.get()) == 0 || BN_is_one(e.get()) == 1) {
    return nullptr;
  }
  Builder builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return nullptr;
  }
  return made_of(builder.get(), "RSA");
}

PublicKey elliptic_key(const json::object& key) {
  constexpr std::size_t coordinate_bytes = 32;
  auto x = bytes_at(key, "x");
  auto y = bytes_at(key, "y");
  if (!x || !y || x->size() != coordinate_bytes || y->size() != coordinate_bytes) return nullptr;
  const std::string point = "\x04" + *x + *y;
  Builder builder(OSSL_PARAM_BLD_new());
  if (!builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1) {
    return nullptr;
  }
  return made_of(builder.get(), "EC");
}

/// Which algorithm of ours a key is for; none: it is of no use here.
std::optional<Algorithm> algorithm_of(const json::object& key) {
  auto type = text_at(key, "kty"), algorithm = text_at(key, "alg"), use = text_at(key, "use");
  if (use && *use != "sig") return std::nullopt;
  if (type == "RSA" && (!algorithm || *algorithm == "RS256")) return Algorithm::rs256;
  if (type == "EC" && text_at(key, "crv") == "P-256" && (!algorithm || *algorithm == "ES256")) {
    return Algorithm::es256;
  }
  return std::nullopt;
}

Result<Key> key_of(const json::object& written, Algorithm algorithm) {
  if (written.contains("d")) return wrong("holds a private key; give the public ones alone");
  PublicKey made = algorithm == Algorithm::rs256 ? rsa_key(written) : elliptic_key(written);
  if (!made) return wrong("has a key that is malformed");
  auto key = usable_key(std::move(made));
  if (key) key->id = text_at(written, "kid").value_or("");
  return key;
}

}  // namespace

Result<KeySet> parse_jwks(std::string_view text) {
  json::error_code ec;
  json::value document = json::parse(text, ec);
  if (ec || !document.is_object()) return wrong("is not a JWKS: no JSON object");
  const json::value* keys = document.get_object().if_contains("keys");
  if (keys == nullptr || !keys->is_array()) return wrong("is not a JWKS: it has no list `keys`");
  KeySet set;
  for (const json::value& written : keys->get_array()) {
    if (!written.is_object()) return wrong("has a key that is no JSON object");
    auto algorithm = algorithm_of(written.get_object());
    if (!algorithm) {
      ++set.skipped;
      continue;
    }
    auto key = key_of(written.get_object(), *algorithm);
    if (!key) return std::unexpected(key.error());
    set.keys.push_back(std::move(*key));
    if (set.keys.size() > keys_max) return wrong("has too many keys");
  }
  if (set.keys.empty()) return wrong("has no key for RS256 or ES256");
  return set;
}

}  // namespace trialwire::auth
