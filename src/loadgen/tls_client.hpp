// SPDX-License-Identifier: Apache-2.0
// TLS 1.2 and 1.3 of a client connection, by OpenSSL, on a non-blocking socket. The answers of its
// calls are those of the calls on a plain socket, so that a connection treats both alike.
#pragma once
#include <sys/types.h>

#include <memory>
#include <string>

#include <openssl/types.h>

#include "base/error.hpp"

namespace trialwire::loadgen {

struct TlsClientOptions {
  std::string authorities;  // PEM file of those that are trusted; empty: the system's
  bool verify = true;       // the server's certificate, and that it is the host's
};

/// Shared by all connections of a run. The process ignores SIGPIPE from then on: OpenSSL writes to
/// sockets without MSG_NOSIGNAL. Errors: invalid_argument (the file holds no certificates).
Result<std::shared_ptr<SSL_CTX>> make_client_tls(const TlsClientOptions& options);

class TlsClient {
 public:
  /// `host` is asked for (SNI), and what the certificate has to be for when it is verified.
  TlsClient(SSL_CTX& context, int socket, const std::string& host);

  /// 0: the handshake is over. EINPROGRESS: to be called again when the socket has changed. EPROTO:
  /// it failed, see `trouble`.
  int handshake() noexcept;
  /// As ::recv and ::send, errno included.
  ssize_t receive(char* to, std::size_t room) noexcept;
  ssize_t send(const char* from, std::size_t size) noexcept;
  /// Why a handshake failed.
  [[nodiscard]] const std::string& trouble() const noexcept { return trouble_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const noexcept;
  };
  ssize_t outcome(int result, std::size_t bytes) noexcept;

  std::unique_ptr<SSL, Free> ssl_;
  std::string trouble_;
};

}  // namespace trialwire::loadgen
