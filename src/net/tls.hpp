// SPDX-License-Identifier: Apache-2.0
// TLS 1.2 and 1.3 on non-blocking sockets, by OpenSSL 3. A session reads and writes its socket
// itself: there are no buffers beside those of OpenSSL. While few are connected each keeps its own;
// to take and give them back for every record costs a tenth of what TLS costs. With many open they
// are given back after each record (SSL_MODE_RELEASE_BUFFERS).
//
// What is offered: TLS 1.2 with ECDHE and an AEAD cipher (RFC 9325, 4.2), or TLS 1.3; ALPN
// http/1.1, and a client that asks only for others is refused (RFC 7301, 3.2); sessions resume by
// tickets, whose keys live as long as the certificate does; no renegotiation, no compression, no
// early data.
//
// Threads: TlsCertificates may be asked from any thread, and is refreshed from one. A TlsSession is
// its connection's.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <openssl/types.h>

#include "base/error.hpp"
#include "base/file_stamp.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::net {

struct TlsOptions {
  std::filesystem::path certificate;  // PEM: the server's, then those that lead to its authority
  std::filesystem::path key;          // PEM, without a passphrase, mode 0600
  /// PEM: authorities of clients. Set: a client without a certificate of one of them is refused.
  std::filesystem::path client_ca;
};

/// A record and its header in one read.
inline constexpr std::size_t tls_read_buffer_bytes = 17 << 10;

/// Most bytes of one of these files.
inline constexpr std::size_t tls_file_bytes_max = 1 << 20;

struct FreeTlsContext {
  void operator()(SSL_CTX* context) const noexcept;
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeTlsContext>;

/// Errors name the file and what is wrong with it, never its content: those of read_guarded_file,
/// invalid_argument (no certificate, a key of another certificate, an encrypted key).
Result<TlsContext> make_tls_context(const TlsOptions& options);

/// Seconds since 1970 after which the context's certificate is no longer valid.
std::int64_t not_after_unix_s(const SSL_CTX& context) noexcept;

class TlsSession {
 public:
  enum class State : std::uint8_t {
    ok,          // `bytes` were moved
    want_read,   // nothing can be done until the socket may be read
    want_write,  // or written
    closed,      // the client has said that nothing more comes
    failed       // the connection is of no further use
  };
  struct Step {
    State state = State::failed;
    std::size_t bytes = 0;
  };

  /// The client's hello is waited for: the handshake is a part of the first reads.
  TlsSession(SSL_CTX& context, int socket);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  Step read(char* to, std::size_t room) noexcept;
  /// After want_read or want_write the same bytes are to come again, wherever they are by then.
  Step write(const char* from, std::size_t size) noexcept;
  /// Whether OpenSSL's buffers stay between records: some 34 KiB, from the next record on. They do
  /// not at first.
  void keep_buffers(bool keep) noexcept;
  /// Says that nothing more will be written, if the socket takes it at once.
  void close_notify() noexcept;
  bool established() const noexcept;
  /// What the socket held has been read and given out: nothing comes until it may be read again.
  /// False also where that is not known.
  bool drained() const noexcept;
  /// "TLSv1.3"; once established.
  const char* version() const noexcept;

 private:
  Step outcome(int result, std::size_t bytes) noexcept;

  int socket_;
  SSL* ssl_;
  std::uint64_t read_from_ = 0;  // the socket's bytes when OpenSSL held none of them last
  bool failed_ = false;
  bool keeps_buffers_ = false;
};

/// The certificate in force: read at start, read again when one of its files changes. The old one
/// stays in force while what is there now cannot be used; a metric and the log say so. Connections
/// keep what they began with.
class TlsCertificates {
 public:
  /// Errors: those of make_tls_context. One that has expired is taken, with a warning: a client
  /// decides for itself, and a server that does not start helps nobody.
  static Result<std::unique_ptr<TlsCertificates>> open(TlsOptions options,
                                                       telemetry::Registry& metrics);

  /// Looks whether a file is another than it was, and reads all of them if so, or if what was there
  /// could not be used. Blocks briefly. In place of a valid certificate an expired one is not
  /// taken.
  void refresh(std::int64_t unix_now_s);

  std::unique_ptr<TlsSession> accept(int socket) const;

 private:
  TlsCertificates(TlsOptions options, telemetry::Registry& metrics);
  std::vector<FileStamp> stamps() const;
  void put(TlsContext context);
  void refused(std::string_view reason, bool changed);

  const TlsOptions options_;
  std::vector<FileStamp> stamps_;
  std::string trouble_;  // why what is there is not used; empty: it is
  std::int64_t not_after_s_ = 0;
  mutable std::mutex mutex_;
  TlsContext context_;
  telemetry::Gauge& not_after_;
  telemetry::Gauge& current_;
  telemetry::Counter& reloads_;
  telemetry::Counter& failures_;
};

}  // namespace trialwire::net
