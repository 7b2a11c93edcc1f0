// SPDX-License-Identifier: Apache-2.0
#include "storage/page_cursor.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

#include "base/check.hpp"

namespace trialwire::storage {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t version = 3;
constexpr std::size_t plain_bytes = 17;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t all_bytes = plain_bytes + tag_bytes;  // of 3 a multiple: base64 unpadded
constexpr std::size_t text_bytes = all_bytes / 3 * 4;
using Plain = std::array<std::uint8_t, plain_bytes>;
using Sealed = std::array<std::uint8_t, all_bytes>;  // encrypted, then the tag

struct FreeCipher {
  void operator()(EVP_CIPHER* cipher) const noexcept { EVP_CIPHER_free(cipher); }
};
struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

/// AES-128-SIV, ready for one message.
Context cipher(SipKey key, bool encrypt) {
  static const std::unique_ptr<EVP_CIPHER, FreeCipher> siv(
      EVP_CIPHER_fetch(nullptr, "AES-128-SIV", nullptr));
  TW_CHECK(siv != nullptr);
  std::array<std::uint8_t, 16 + 12> secret{};  // the database's 16 bytes, and what they are for
  store_le(secret.data(), key.k0);
  store_le(secret.data() + 8, key.k1);
  std::memcpy(secret.data() + 16, "page cursors", 12);
  Sha256 both = Sha256Hasher().digest(std::as_bytes(std::span(secret)));
  Context context(EVP_CIPHER_CTX_new());
  TW_CHECK(context != nullptr);
  TW_CHECK(EVP_CipherInit_ex2(context.get(), siv.get(), both.data(), nullptr, encrypt ? 1 : 0,
                              nullptr) == 1);
  OPENSSL_cleanse(both.data(), both.size());
  OPENSSL_cleanse(secret.data(), secret.size());
  return context;
}

Sealed seal(const Plain& plain, SipKey key) {
  const Context context = cipher(key, true);
  Sealed sealed{};
  int bytes = 0;
  TW_CHECK(EVP_EncryptUpdate(context.get(), sealed.data(), &bytes, plain.data(), plain_bytes) == 1);
  TW_CHECK(EVP_EncryptFinal_ex(context.get(), sealed.data() + bytes, &bytes) == 1);
  TW_CHECK(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, tag_bytes,
                               sealed.data() + plain_bytes) == 1);
  return sealed;
}

/// Nothing, when it was not sealed under this key.
std::optional<Plain> open(Sealed& sealed, SipKey key) {
  const Context context = cipher(key, false);
  Plain plain{};
  int bytes = 0;
  if (EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, tag_bytes,
                          sealed.data() + plain_bytes) != 1 ||
      EVP_DecryptUpdate(context.get(), plain.data(), &bytes, sealed.data(), plain_bytes) != 1 ||
      EVP_DecryptFinal_ex(context.get(), plain.data() + bytes, &bytes) != 1) {
    ERR_clear_error();
    return std::nullopt;
  }
  return plain;
}

}  // namespace

std::string encode_page_cursor(const PagePosition& position, SipKey key) {
  Plain plain{version};
  store_le(plain.data() + 1, position.timestamp_ns);
  store_le(plain.data() + 9, position.id);
  const Sealed sealed = seal(plain, key);
  std::string text;
  text.reserve(text_bytes);
  for (std::size_t i = 0; i < all_bytes; i += 3) {
    unsigned three = (unsigned{sealed[i]} << 16) | (unsigned{sealed[i + 1]} << 8) | sealed[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) text += alphabet[(three >> shift) & 63];
  }
  return text;
}

bool has_page_cursor_form(std::string_view text) noexcept {
  return text.size() == text_bytes && text.find_first_not_of(alphabet) == std::string_view::npos;
}

std::optional<PagePosition> decode_page_cursor(std::string_view text, SipKey key) {
  if (!has_page_cursor_form(text)) return std::nullopt;
  Sealed sealed{};
  for (std::size_t i = 0; i < text_bytes; i += 4) {
    unsigned three = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      three = (three << 6) | static_cast<unsigned>(alphabet.find(text[i + k]));
    }
    for (std::size_t k = 0; k < 3; ++k) {
      sealed[i / 4 * 3 + k] = static_cast<std::uint8_t>(three >> (16 - 8 * k));
    }
  }
  const auto plain = open(sealed, key);
  if (!plain || plain->front() != version) return std::nullopt;
  return PagePosition{load_le<std::int64_t>(plain->data() + 1),
                      load_le<std::int64_t>(plain->data() + 9)};
}

}  // namespace trialwire::storage
