// SPDX-License-Identifier: Apache-2.0
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <string_view>

#include <fmt/format.h>

#include "base/check.hpp"
#include "base/private_file.hpp"
#include "net/tls.hpp"

namespace trialwire::net {
namespace {

using path = std::filesystem::path;

/// RFC 9325, 4.2; those of TLS 1.3 are all good.
constexpr const char* ciphers_1_2 =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

constexpr std::string_view http_1_1 = "http/1.1";

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;
struct FreeX509 {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeX509>;
struct FreeKey {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};

Bio bio_of(const std::string& text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  TW_CHECK(bio != nullptr);
  return bio;
}

/// OpenSSL would ask at the terminal.
int no_passphrase(char*, int, int, void*) {
  return -1;
}

std::unexpected<Error> wrong(const path& file, std::string_view what) {
  ERR_clear_error();
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", file.native(), what));
}

Result<std::vector<Certificate>> read_certificates(const path& file) {
  auto text = read_guarded_file(file, FileAccess::trusted, tls_file_bytes_max);
  if (!text) return std::unexpected(text.error());
  const Bio bio = bio_of(*text);
  std::vector<Certificate> all;
  while (X509* each = PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr)) {
    all.emplace_back(each);
  }
  // What ends a file in order is that there is no further beginning.
  const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!ended) return wrong(file, "a certificate in it cannot be read");
  if (all.empty()) return wrong(file, "there is no certificate in it (PEM)");
  ERR_clear_error();
  return all;
}

Result<void> use_certificate(SSL_CTX& context, const path& file) {
  auto chain = read_certificates(file);
  if (!chain) return std::unexpected(chain.error());
  if (SSL_CTX_use_certificate(&context, chain->front().get()) != 1) {
    return wrong(file, "its first certificate cannot be used");
  }
  for (std::size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(&context, (*chain)[i].get()) != 1) {
      return wrong(file, "a certificate of its chain cannot be used");
    }
  }
  return {};
}

Result<void> use_key(SSL_CTX& context, const TlsOptions& options) {
  auto text = read_guarded_file(options.key, FileAccess::secret, tls_file_bytes_max);
  if (!text) return std::unexpected(text.error());
  std::unique_ptr<EVP_PKEY, FreeKey> key;
  {
    const Bio bio = bio_of(*text);
    key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  }
  OPENSSL_cleanse(text->data(), text->size());
  if (key == nullptr) {
    return wrong(options.key, "there is no private key in it (PEM, without a passphrase)");
  }
  if (SSL_CTX_use_PrivateKey(&context, key.get()) != 1 ||
      SSL_CTX_check_private_key(&context) != 1) {
    return wrong(options.key, fmt::format("it is not the key of {}", options.certificate.native()));
  }
  return {};
}

Result<void> ask_for_client(SSL_CTX& context, const path& file) {
  auto authorities = read_certificates(file);
  if (!authorities) return std::unexpected(authorities.error());
  for (const Certificate& each : *authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(&context), each.get()) != 1 ||
        SSL_CTX_add_client_CA(&context, each.get()) != 1) {
      return wrong(file, "a certificate of it cannot be used");
    }
  }
  SSL_CTX_set_verify(&context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

/// `offered` is names of protocols, each behind a byte with its length.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes,
                    const unsigned char* offered, unsigned int bytes, void*) {
  for (unsigned int at = 0; at < bytes;) {
    const unsigned int length = offered[at];
    if (length > bytes - at - 1) break;
    const std::string_view name(reinterpret_cast<const char*>(offered + at + 1), length);
    if (name == http_1_1) {
      *chosen = offered + at + 1;
      *chosen_bytes = static_cast<unsigned char>(length);
      return SSL_TLSEXT_ERR_OK;
    }
    at += 1 + length;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

void settle_protocol(SSL_CTX& context) {
  SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
  TW_CHECK(SSL_CTX_set_cipher_list(&context, ciphers_1_2) == 1);
  SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                    SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(&context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                 SSL_MODE_RELEASE_BUFFERS);  // as TlsSession::keep_buffers says
  SSL_CTX_set_read_ahead(&context, 1);
  SSL_CTX_set_default_read_buffer_len(&context, tls_read_buffer_bytes);
  SSL_CTX_set_alpn_select_cb(&context, choose_protocol, nullptr);
  // Sessions are kept by clients, in tickets.
  SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(&context, 1);
  constexpr std::array<unsigned char, 9> id{'t', 'r', 'i', 'a', 'l', 'w', 'i', 'r', 'e'};
  TW_CHECK(SSL_CTX_set_session_id_context(&context, id.data(), id.size()) == 1);
}

}  // namespace

void FreeTlsContext::operator()(SSL_CTX* context) const noexcept {
  SSL_CTX_free(context);
}

Result<TlsContext> make_tls_context(const TlsOptions& options) {
  TlsContext context(SSL_CTX_new(TLS_server_method()));
  TW_CHECK(context != nullptr);
  settle_protocol(*context);
  if (auto used = use_certificate(*context, options.certificate); !used) {
    return std::unexpected(used.error());
  }
  if (auto used = use_key(*context, options); !used) return std::unexpected(used.error());
  if (!options.client_ca.empty()) {
    if (auto asked = ask_for_client(*context, options.client_ca); !asked) {
      return std::unexpected(asked.error());
    }
  }
  return context;
}

std::int64_t not_after_unix_s(const SSL_CTX& context) noexcept {
  const X509* certificate = SSL_CTX_get0_certificate(&context);
  std::tm when{};
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &when) != 1) {
    return 0;
  }
  return ::timegm(&when);
}

}  // namespace trialwire::net
