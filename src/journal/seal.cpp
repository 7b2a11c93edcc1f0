// SPDX-License-Identifier: Apache-2.0
#include "journal/seal.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>

#include "base/check.hpp"
#include "base/rfc3339.hpp"
#include "journal/journal_files.hpp"

namespace trialwire::journal {
namespace {

constexpr std::size_t signature_bytes = 64;
constexpr std::string_view signature_line = "signature ";

using std::filesystem::path;

struct BioFree {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, BioFree>;

struct DigestFree {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Digest = std::unique_ptr<EVP_MD_CTX, DigestFree>;

const unsigned char* raw(std::string_view text) noexcept {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string drain(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

// What DER puts before the 32 bytes of an Ed25519 key (RFC 8410). OpenSSL's general decoder takes a
// millisecond and hundreds of allocations to find that out.
constexpr std::array<unsigned char, 16> private_prefix{
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
constexpr std::array<unsigned char, 12> public_prefix{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03,
                                                      0x2b, 0x65, 0x70, 0x03, 0x21, 0x00};
constexpr std::size_t key_bytes = 32;

/// The 32 bytes of the key in `text`; empty when it is not PEM of this kind.
std::string raw_key(std::string_view text, std::string_view kind,
                    std::span<const unsigned char> prefix) {
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  char* name = nullptr;
  char* header = nullptr;
  unsigned char* data = nullptr;
  long size = 0;
  std::string key;
  if (PEM_read_bio(bio.get(), &name, &header, &data, &size) == 1 && name == kind &&
      static_cast<std::size_t>(size) == prefix.size() + key_bytes &&
      std::memcmp(data, prefix.data(), prefix.size()) == 0) {
    key.assign(reinterpret_cast<const char*>(data) + prefix.size(), key_bytes);
  }
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_clear_free(data, static_cast<std::size_t>(size));
  ERR_clear_error();
  return key;
}

using PublicDer = std::array<unsigned char, public_prefix.size() + key_bytes>;

/// SubjectPublicKeyInfo.
PublicDer public_der(EVP_PKEY* key) {
  PublicDer der{};
  std::ranges::copy(public_prefix, der.begin());
  std::size_t size = key_bytes;
  TW_CHECK(EVP_PKEY_get_raw_public_key(key, der.data() + public_prefix.size(), &size) == 1);
  return der;
}

std::unexpected<Error> bad_key(const path& file) {
  return fail(ErrorCode::corrupt,
              fmt::format("{}: offset 0: not an Ed25519 key in PEM", file.native()));
}

}  // namespace

struct VerifyingKey::Handle {
  EVP_PKEY* key = nullptr;
  explicit Handle(EVP_PKEY* owned) noexcept : key(owned) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { EVP_PKEY_free(key); }
};

VerifyingKey::VerifyingKey(std::unique_ptr<Handle> handle) noexcept : handle_(std::move(handle)) {}
VerifyingKey::VerifyingKey(VerifyingKey&&) noexcept = default;
VerifyingKey& VerifyingKey::operator=(VerifyingKey&&) noexcept = default;
VerifyingKey::~VerifyingKey() = default;

Result<VerifyingKey> VerifyingKey::load(FileLayer& files, const path& directory) {
  const path file = directory / signing_public_name;
  const auto text = read_text(files, file);
  if (!text) return std::unexpected(text.error());
  auto key = parse(*text);
  if (!key) return bad_key(file);
  return key;
}

Result<VerifyingKey> VerifyingKey::parse(std::string_view pem) {
  const auto bad = fail(ErrorCode::corrupt, "not an Ed25519 public key in PEM");
  const std::string key = raw_key(pem, "PUBLIC KEY", public_prefix);
  if (key.empty()) return bad;
  auto handle = std::make_unique<Handle>(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(key), key.size()));
  if (handle->key == nullptr) return bad;
  return VerifyingKey(std::move(handle));
}

bool VerifyingKey::verify(std::string_view text, std::string_view signature) const noexcept {
  const Digest context(EVP_MD_CTX_new());
  return EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, handle_->key) == 1 &&
         EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(text),
                          text.size()) == 1;
}

std::string VerifyingKey::pem() const {
  const PublicDer der = public_der(handle_->key);
  const Bio bio(BIO_new(BIO_s_mem()));
  TW_CHECK(PEM_write_bio(bio.get(), "PUBLIC KEY", "", der.data(), der.size()) > 0);
  return drain(bio.get());
}

std::string VerifyingKey::fingerprint() const {
  const PublicDer der = public_der(handle_->key);
  return to_hex(Sha256Hasher().digest(std::as_bytes(std::span(der))));
}

Result<SigningKey> SigningKey::load(FileLayer& files, const path& directory) {
  const path file = directory / signing_key_name;
  const auto text = read_text(files, file);
  if (!text) return std::unexpected(text.error());
  std::string key = raw_key(*text, "PRIVATE KEY", private_prefix);
  if (key.empty()) return bad_key(file);
  auto handle = std::make_unique<VerifyingKey::Handle>(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(key), key.size()));
  OPENSSL_cleanse(key.data(), key.size());
  if (handle->key == nullptr) return bad_key(file);
  return SigningKey(VerifyingKey(std::move(handle)));
}

Result<SigningKey> SigningKey::ensure(FileLayer& files, const path& directory) {
  auto key = load(files, directory);
  if (!key && key.error().code == ErrorCode::not_found) {
    const VerifyingKey::Handle made(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    TW_CHECK(made.key != nullptr);
    const Bio bio(BIO_new(BIO_s_mem()));
    TW_CHECK(PEM_write_bio_PKCS8PrivateKey(bio.get(), made.key, nullptr, nullptr, 0, nullptr,
                                           nullptr) == 1);
    const auto written = replace_text(files, directory / signing_key_name, drain(bio.get()));
    if (!written) return std::unexpected(written.error());
    key = load(files, directory);
  }
  if (!key) return key;
  // Derived from the private one: whatever else is there under its name is wrong.
  const path file = directory / signing_public_name;
  const std::string pem = key->public_pem();
  const auto known = read_text(files, file);
  if (!known && known.error().code != ErrorCode::not_found &&
      known.error().code != ErrorCode::corrupt) {
    return std::unexpected(known.error());
  }
  if (!known || *known != pem) {
    if (auto written = replace_text(files, file, pem); !written) {
      return std::unexpected(written.error());
    }
  }
  return key;
}

std::string SigningKey::sign(std::string_view text) const {
  const Digest context(EVP_MD_CTX_new());
  std::string signature(signature_bytes, '\0');
  std::size_t size = signature.size();
  TW_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.handle_->key) == 1);
  TW_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                          raw(text), text.size()) == 1);
  return signature;
}

std::string seal_text(const Seal& seal, const SigningKey& key) {
  const SealedSegment& segment = seal.segment;
  std::string text = fmt::format(
      "trialwire-seal 1\njournal {}\nsegment {}\nfirst_sequence {}\nnext_sequence {}\n"
      "batches {}\nrecords {}\npayload_bytes {}\nchain_head {}\nsealed {}\n",
      seal.journal.text(), segment.number, segment.first_sequence, segment.next_sequence,
      segment.batches, segment.records, segment.payload_bytes, to_hex(segment.chain_head),
      format_rfc3339_ms(seal.sealed_ns));
  const std::string signature = key.sign(text);
  text += signature_line;
  text += to_hex({raw(signature), signature.size()});
  text += '\n';
  return text;
}

Result<Seal> parse_seal(std::string_view text, const VerifyingKey& key) {
  FieldReader fields(text);
  Seal seal;
  SealedSegment& segment = seal.segment;
  if (fields.number("trialwire-seal") != 1) {
    return fail(ErrorCode::corrupt, "offset 0: not a seal of a known format");
  }
  seal.journal = fields.uuid("journal");
  segment.number = fields.number("segment");
  segment.first_sequence = fields.number("first_sequence");
  segment.next_sequence = fields.number("next_sequence");
  segment.batches = fields.number("batches");
  segment.records = fields.number("records");
  segment.payload_bytes = fields.number("payload_bytes");
  segment.chain_head = fields.hash("chain_head");
  const auto sealed = parse_rfc3339(fields.text("sealed"));
  const std::string_view signed_text = text.substr(0, text.size() - fields.left().size());
  std::array<std::uint8_t, signature_bytes> signature{};
  const bool hex = from_hex(fields.text("signature"), signature);
  if (!fields.ok() || !fields.at_end() || !sealed || !hex) {
    return fail(ErrorCode::corrupt, "offset 0: a field of the seal is missing or wrong");
  }
  seal.sealed_ns = sealed->unix_ns;
  if (!key.verify(signed_text, {reinterpret_cast<const char*>(signature.data()), 64})) {
    return fail(ErrorCode::corrupt,
                fmt::format("offset {}: the signature does not match", signed_text.size()));
  }
  return seal;
}

Result<std::string> write_seal(FileLayer& files, const path& directory, const Seal& seal,
                               const SigningKey& key) {
  const std::string text = seal_text(seal, key);
  auto written = replace_text(files, directory / seal_name(seal.segment.number), text);
  if (!written) return std::unexpected(written.error());
  const std::size_t at = text.rfind(signature_line) + signature_line.size();
  return text.substr(at, 2 * signature_bytes);
}

Result<Seal> read_seal(FileLayer& files, const path& directory, std::uint64_t number,
                       const VerifyingKey& key) {
  const path file = directory / seal_name(number);
  const auto text = read_text(files, file);
  if (!text) return std::unexpected(text.error());
  auto seal = parse_seal(*text, key);
  if (!seal)
    return fail(ErrorCode::corrupt, fmt::format("{}: {}", file.native(), seal.error().text));
  return seal;
}

}  // namespace trialwire::journal
