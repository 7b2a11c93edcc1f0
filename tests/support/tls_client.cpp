// SPDX-License-Identifier: Apache-2.0
#include "support/tls_client.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>

#include "base/check.hpp"

namespace trialwire::support {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bio bio_of(const std::string& text) {
  return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

std::shared_ptr<X509> certificate_of(const std::string& pem) {
  return {PEM_read_bio_X509(bio_of(pem).get(), nullptr, nullptr, nullptr), X509_free};
}

void show(SSL_CTX& context, const Authority::Signed& own) {
  const std::shared_ptr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(bio_of(own.key).get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  TW_CHECK(SSL_CTX_use_certificate(&context, certificate_of(own.certificate).get()) == 1);
  TW_CHECK(SSL_CTX_use_PrivateKey(&context, key.get()) == 1);
}

}  // namespace

TlsClient::TlsClient(const std::string& address, const Authority& authority,
                     TlsClientOptions options)
    : HttpClient(address), context_(SSL_CTX_new(TLS_client_method())) {
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), certificate_of(authority.pem()).get());
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_security_level(context_, 0);  // so that old versions are for the server to refuse
  SSL_CTX_set_min_proto_version(context_, options.version);
  SSL_CTX_set_max_proto_version(context_, options.version);
  if (options.own != nullptr) show(*context_, *options.own);
  ssl_ = SSL_new(context_);
  SSL_set_fd(ssl_, socket());
  std::string offered;
  for (const std::string& each : options.protocols) {
    offered += static_cast<char>(each.size());
    offered += each;
  }
  if (!offered.empty()) {
    SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(offered.data()),
                        static_cast<unsigned>(offered.size()));
  }
  if (options.resume) SSL_set_session(ssl_, options.resume.get());
  greeted_ = uninterrupted([&] { return SSL_connect(ssl_); }) == 1;
  ERR_clear_error();
}

TlsClient::~TlsClient() {
  SSL_free(ssl_);
  SSL_CTX_free(context_);
}

std::string TlsClient::server_name() const {
  const std::shared_ptr<X509> shown(SSL_get1_peer_certificate(ssl_), X509_free);
  std::array<char, 256> name{};
  if (shown == nullptr) return {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(shown.get()), NID_commonName, name.data(),
                            name.size());
  return name.data();
}

std::string TlsClient::protocol() const {
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &chosen, &size);
  return {reinterpret_cast<const char*>(chosen), size};
}

std::string TlsClient::version() const {
  return SSL_get_version(ssl_);
}

bool TlsClient::resumed() const {
  return SSL_session_reused(ssl_) == 1;
}

std::shared_ptr<SSL_SESSION> TlsClient::session() const {
  return {SSL_get1_session(ssl_), SSL_SESSION_free};
}

bool TlsClient::ended_in_order() const {
  return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
}

ssize_t TlsClient::put(const char* from, std::size_t size) {
  return uninterrupted([&] { return SSL_write(ssl_, from, static_cast<int>(size)); });
}

ssize_t TlsClient::take(char* to, std::size_t room) {
  const int taken = uninterrupted([&] { return SSL_read(ssl_, to, static_cast<int>(room)); });
  if (taken > 0) return taken;
  const bool ended = SSL_get_error(ssl_, taken) == SSL_ERROR_ZERO_RETURN;
  ERR_clear_error();
  return ended ? 0 : -1;
}

}  // namespace trialwire::support
