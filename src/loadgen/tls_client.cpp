// SPDX-License-Identifier: Apache-2.0
#include "loadgen/tls_client.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <csignal>

#include "base/check.hpp"

namespace trialwire::loadgen {

Result<std::shared_ptr<SSL_CTX>> make_client_tls(const TlsClientOptions& options) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  TW_CHECK(context != nullptr);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  constexpr unsigned char http_1_1[] = "\x08http/1.1";
  SSL_CTX_set_alpn_protos(context.get(), http_1_1, sizeof http_1_1 - 1);
  if (options.verify) {
    const bool there =
        options.authorities.empty()
            ? SSL_CTX_set_default_verify_paths(context.get()) == 1
            : SSL_CTX_load_verify_file(context.get(), options.authorities.c_str()) == 1;
    ERR_clear_error();
    if (!there) {
      return fail(ErrorCode::invalid_argument,
                  fmt::format("no certificates can be read from {}", options.authorities));
    }
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  std::signal(SIGPIPE, SIG_IGN);
  return context;
}

void TlsClient::Free::operator()(SSL* ssl) const noexcept {
  SSL_free(ssl);
}

TlsClient::TlsClient(SSL_CTX& context, int socket, const std::string& host)
    : ssl_(SSL_new(&context)) {
  TW_CHECK(ssl_ != nullptr && SSL_set_fd(ssl_.get(), socket) == 1);
  in6_addr address{};
  const bool is_address = ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
                          ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
  if (is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host.c_str());
  } else {
    SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
    SSL_set1_host(ssl_.get(), host.c_str());
  }
  SSL_set_connect_state(ssl_.get());
}

int TlsClient::handshake() noexcept {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) return 0;
  const int error = SSL_get_error(ssl_.get(), result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return EINPROGRESS;
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  trouble_ = reason == nullptr ? "the server closed the connection" : reason;
  if (const long verdict = SSL_get_verify_result(ssl_.get()); verdict != X509_V_OK) {
    trouble_ += fmt::format(" ({})", X509_verify_cert_error_string(verdict));
  }
  ERR_clear_error();
  return EPROTO;
}

ssize_t TlsClient::outcome(int result, std::size_t bytes) noexcept {
  if (result == 1) return static_cast<ssize_t>(bytes);
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      errno = EAGAIN;
      return -1;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      ERR_clear_error();
      errno = ECONNRESET;
      return -1;
  }
}

ssize_t TlsClient::receive(char* to, std::size_t room) noexcept {
  std::size_t bytes = 0;
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_.get(), to, room, &bytes);
  return outcome(result, bytes);
}

ssize_t TlsClient::send(const char* from, std::size_t size) noexcept {
  std::size_t bytes = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(ssl_.get(), from, size, &bytes);
  return outcome(result, bytes);
}

}  // namespace trialwire::loadgen
