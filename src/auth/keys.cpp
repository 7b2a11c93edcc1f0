// SPDX-License-Identifier: Apache-2.0
#include "auth/keys.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "auth/jwks.hpp"
#include "base/private_file.hpp"

namespace trialwire::auth {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
};
struct FreeCertificate {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};

Error wrong(std::string text) {
  return {ErrorCode::invalid_argument, std::move(text)};
}

using Bio = std::unique_ptr<BIO, FreeBio>;

Bio reader_of(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

PublicKey key_of_certificate(std::string_view text) {
  auto bio = reader_of(text);
  std::unique_ptr<X509, FreeCertificate> certificate(
      PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  return PublicKey(certificate ? X509_get_pubkey(certificate.get()) : nullptr);
}

PublicKey key_of_pem(std::string_view text) {
  auto bio = reader_of(text);
  return PublicKey(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr));
}

/// What is no key, though it reads as one: an RSA exponent of one would make every text its own
/// signature.
bool is_sound(EVP_PKEY* key) {
  const std::unique_ptr<EVP_PKEY_CTX, FreeContext> check(
      EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
  const bool sound = check != nullptr && EVP_PKEY_public_check(check.get()) == 1;
  if (!sound) ERR_clear_error();
  return sound;
}

/// Each block of "-----BEGIN …" by itself.
Result<KeySet> parse_pem(std::string_view text) {
  constexpr std::string_view begin = "-----BEGIN ";
  KeySet set;
  std::size_t at = text.find(begin);
  while (at != std::string_view::npos) {
    std::size_t next = text.find(begin, at + begin.size());
    std::string_view block = text.substr(at, next == std::string_view::npos ? next : next - at);
    std::string_view label =
        block.substr(begin.size(), block.find("-----", begin.size()) - begin.size());
    if (label.find("PRIVATE") != std::string_view::npos) {
      return std::unexpected(wrong("holds a private key; give the public one alone"));
    }
    PublicKey key = label == "CERTIFICATE" ? key_of_certificate(block) : key_of_pem(block);
    if (!key) return std::unexpected(wrong(fmt::format("has a PEM block that is no public key")));
    auto usable = usable_key(std::move(key));
    if (!usable) return std::unexpected(usable.error());
    set.keys.push_back(std::move(*usable));
    at = next;
  }
  if (set.keys.empty()) return std::unexpected(wrong("is neither a JWKS nor PEM"));
  return set;
}

Result<void> add_secret(KeySet& set, const std::filesystem::path& path, bool allow_weak) {
  if (path.empty()) return {};
  auto secret = read_secret(path, allow_weak);
  if (!secret) return std::unexpected(secret.error());
  set.keys.push_back({Algorithm::hs256, {}, std::move(*secret), nullptr});
  return {};
}

}  // namespace

void FreeKey::operator()(EVP_PKEY* key) const noexcept {
  EVP_PKEY_free(key);
}

Result<Key> usable_key(PublicKey key) {
  const int bits = EVP_PKEY_get_bits(key.get());
  Algorithm algorithm = Algorithm::rs256;
  if (EVP_PKEY_is_a(key.get(), "EC") == 1) {
    std::array<char, 64> group{};
    std::size_t size = 0;
    if (EVP_PKEY_get_group_name(key.get(), group.data(), group.size(), &size) != 1 ||
        std::string_view(group.data(), size) != "prime256v1") {
      return std::unexpected(wrong("has an elliptic key that is not on P-256"));
    }
    algorithm = Algorithm::es256;
  } else if (EVP_PKEY_is_a(key.get(), "RSA") != 1) {
    return std::unexpected(wrong("has a key that is neither RSA nor on P-256"));
  } else if (bits < rsa_bits_min || bits > rsa_bits_max) {
    return std::unexpected(wrong(fmt::format("has an RSA key of {} bits, not of {} to {}", bits,
                                             rsa_bits_min, rsa_bits_max)));
  }
  if (!is_sound(key.get())) {
    return std::unexpected(
        wrong("has a key that is malformed: it is no point of its curve, or its "
              "numbers make no RSA key"));
  }
  return Key{algorithm, {}, {}, std::move(key)};
}

Result<Secret> read_secret(const std::filesystem::path& path, bool allow_weak) {
  constexpr std::size_t secret_bytes_max = 4 << 10;
  auto bytes = read_guarded_file(path, FileAccess::secret, secret_bytes_max);
  if (!bytes) return std::unexpected(bytes.error());
  if (bytes->ends_with('\n')) bytes->pop_back();
  if (bytes->ends_with('\r')) bytes->pop_back();
  Secret secret(std::move(*bytes));
  const std::size_t size = secret.view().size();
  if (size == 0) return std::unexpected(wrong(fmt::format("{} is empty", path.native())));
  if (size < secret_bytes_min && !allow_weak) {
    return std::unexpected(
        wrong(fmt::format("{} holds fewer than {} bytes, which can be guessed; set "
                          "auth.jwt.allow_weak_secret: true if it cannot be replaced",
                          path.native(), secret_bytes_min)));
  }
  return secret;
}

Result<KeySet> parse_keys(std::string_view text) {
  std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') return parse_jwks(text);
  return parse_pem(text);
}

Result<KeySet> load_keys(const KeyOptions& options, std::string_view fetched) {
  KeySet set;
  for (const auto* path : {&options.secret_file, &options.previous_secret_file}) {
    if (auto added = add_secret(set, *path, options.allow_weak_secret); !added) {
      return std::unexpected(added.error());
    }
  }
  for (const auto& path : options.key_files) {
    auto text = read_guarded_file(path, FileAccess::trusted, key_file_bytes_max);
    if (!text) return std::unexpected(text.error());
    auto keys = parse_keys(*text);
    if (!keys) {
      return std::unexpected(wrong(fmt::format("{} {}", path.native(), keys.error().text)));
    }
    std::ranges::move(keys->keys, std::back_inserter(set.keys));
    set.skipped += keys->skipped;
  }
  if (!fetched.empty()) {
    auto keys = parse_jwks(fetched);
    if (!keys) {
      return std::unexpected(wrong(fmt::format("what was fetched {}", keys.error().text)));
    }
    std::ranges::move(keys->keys, std::back_inserter(set.keys));
    set.skipped += keys->skipped;
  }
  if (set.keys.size() > keys_max) {
    return std::unexpected(wrong(fmt::format("there are more than {} keys", keys_max)));
  }
  for (std::size_t i = 0; i < algorithm_names.size(); ++i) {
    const auto unnamed = std::ranges::count_if(set.keys, [i](const Key& key) {
      return key.id.empty() && key.algorithm == static_cast<Algorithm>(i);
    });
    if (static_cast<std::size_t>(unnamed) <= tried_keys_max) continue;
    return std::unexpected(wrong(
        fmt::format("there are more than {} keys for {} without a name, and each would be tried "
                    "for every token: give them names (kid) in a JWKS",
                    tried_keys_max, algorithm_names[i])));
  }
  return set;
}

}  // namespace trialwire::auth
