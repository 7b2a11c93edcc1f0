// SPDX-License-Identifier: Apache-2.0
// HttpClient over TLS, by OpenSSL's client.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include <openssl/ssl.h>

#include "support/certificates.hpp"
#include "support/http_client.hpp"

namespace trialwire::support {

struct TlsClientOptions {
  int version = 0;                         // TLS1_2_VERSION, …; 0: any
  std::vector<std::string> protocols;      // of ALPN; none: nothing is said
  const Authority::Signed* own = nullptr;  // the client's certificate
  std::shared_ptr<SSL_SESSION> resume;     // of an earlier client
};

class TlsClient final : public HttpClient {
 public:
  /// Connects; `greeted` says whether the handshake succeeded with a certificate of `authority`.
  TlsClient(const std::string& address, const Authority& authority, TlsClientOptions options = {});
  ~TlsClient() override;

  bool greeted() const { return greeted_; }
  /// Common name of the server's certificate.
  std::string server_name() const;
  std::string protocol() const;  // chosen by ALPN
  std::string version() const;
  bool resumed() const;
  /// What a later client may resume; once an answer was read.
  std::shared_ptr<SSL_SESSION> session() const;
  /// The server said that nothing more comes, rather than just closing.
  bool ended_in_order() const;

 protected:
  ssize_t put(const char* from, std::size_t size) override;
  ssize_t take(char* to, std::size_t room) override;

 private:
  SSL_CTX* context_;
  SSL* ssl_;
  bool greeted_ = false;
};

}  // namespace trialwire::support
