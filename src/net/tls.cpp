// SPDX-License-Identifier: Apache-2.0
#include "net/tls.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/check.hpp"
#include "telemetry/log.hpp"

namespace trialwire::net {
namespace {

/// To ask is a fraction of what clearing costs.
void forget_errors() noexcept {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

// A socket as OpenSSL sees it. Its own goes by read(2) and write(2), which take a detour through
// the file layer and raise SIGPIPE.

int socket_of(BIO* bio) noexcept {
  return *static_cast<const int*>(BIO_get_data(bio));
}

bool passing(int error) noexcept {
  return error == EAGAIN || error == EINTR;
}

int send_to(BIO* bio, const char* from, int size) noexcept {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(socket_of(bio), from, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  if (sent < 0 && passing(errno)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int receive_from(BIO* bio, char* to, int room) noexcept {
  BIO_clear_retry_flags(bio);
  const ssize_t received = ::recv(socket_of(bio), to, static_cast<std::size_t>(room), 0);
  if (received < 0 && passing(errno)) BIO_set_retry_read(bio);
  if (received == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(received);
}

long control(BIO* bio, int what, long, void*) noexcept {
  if (what == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return what == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    TW_CHECK(made != nullptr && BIO_meth_set_write(made, send_to) == 1 &&
             BIO_meth_set_read(made, receive_from) == 1 && BIO_meth_set_ctrl(made, control) == 1);
    return made;
  }();
  return method;
}

/// `socket` outlives it.
BIO* bio_of(int& socket) {
  BIO* bio = BIO_new(socket_method());
  TW_CHECK(bio != nullptr);
  BIO_set_data(bio, &socket);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace

TlsSession::TlsSession(SSL_CTX& context, int socket) : socket_(socket), ssl_(SSL_new(&context)) {
  TW_CHECK(ssl_ != nullptr);
  BIO* bio = bio_of(socket_);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_accept_state(ssl_);
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

TlsSession::Step TlsSession::outcome(int result, std::size_t bytes) noexcept {
  if (result == 1) return {State::ok, bytes};
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      return {State::want_read, 0};
    case SSL_ERROR_WANT_WRITE:
      return {State::want_write, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {State::closed, 0};
    default:
      failed_ = true;
      return {State::failed, 0};
  }
}

TlsSession::Step TlsSession::read(char* to, std::size_t room) noexcept {
  forget_errors();
  if (SSL_has_pending(ssl_) == 0) read_from_ = BIO_number_read(SSL_get_rbio(ssl_));
  std::size_t bytes = 0;
  const int result = SSL_read_ex(ssl_, to, room, &bytes);
  return outcome(result, bytes);
}

TlsSession::Step TlsSession::write(const char* from, std::size_t size) noexcept {
  forget_errors();
  std::size_t bytes = 0;
  const int result = SSL_write_ex(ssl_, from, size, &bytes);
  return outcome(result, bytes);
}

void TlsSession::keep_buffers(bool keep) noexcept {
  if (keep == keeps_buffers_) return;
  keeps_buffers_ = keep;
  if (keep) {
    SSL_clear_mode(ssl_, SSL_MODE_RELEASE_BUFFERS);
  } else {
    SSL_set_mode(ssl_, SSL_MODE_RELEASE_BUFFERS);
  }
}

void TlsSession::close_notify() noexcept {
  if (failed_ || !established()) return;
  ERR_clear_error();
  failed_ = SSL_shutdown(ssl_) < 0;
}

/// OpenSSL asks the socket for as much as its buffer holds; a read that brings less has drained it.
bool TlsSession::drained() const noexcept {
  return SSL_has_pending(ssl_) == 0 &&
         BIO_number_read(SSL_get_rbio(ssl_)) - read_from_ < tls_read_buffer_bytes / 2;
}

bool TlsSession::established() const noexcept {
  return SSL_is_init_finished(ssl_) == 1;
}

const char* TlsSession::version() const noexcept {
  return SSL_get_version(ssl_);
}

TlsCertificates::TlsCertificates(TlsOptions options, telemetry::Registry& metrics)
    : options_(std::move(options)),
      not_after_(metrics.gauge("trialwire_tls_certificate_not_after_seconds",
                               "Unix time after which the certificate in force is not valid.")),
      current_(metrics.gauge("trialwire_tls_certificate_current",
                             "1: what is in force is what the files hold; 0: they hold what cannot "
                             "be used, and the one of before is in force.")),
      reloads_(metrics.counter("trialwire_tls_reloads_total",
                               "Times that changed files were read, by what became of it.",
                               {{"result", "ok"}})),
      failures_(metrics.counter("trialwire_tls_reloads_total", "", {{"result", "failed"}})) {}

Result<std::unique_ptr<TlsCertificates>> TlsCertificates::open(TlsOptions options,
                                                               telemetry::Registry& metrics) {
  std::unique_ptr<TlsCertificates> made(new TlsCertificates(std::move(options), metrics));
  made->stamps_ = made->stamps();
  auto context = make_tls_context(made->options_);
  if (!context) return std::unexpected(context.error());
  made->put(std::move(*context));
  return made;
}

std::vector<FileStamp> TlsCertificates::stamps() const {
  return {stamp_of(options_.certificate), stamp_of(options_.key), stamp_of(options_.client_ca)};
}

void TlsCertificates::put(TlsContext context) {
  not_after_s_ = not_after_unix_s(*context);
  not_after_.set(static_cast<double>(not_after_s_));
  current_.set(1);
  trouble_.clear();
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
}

/// What stays wrong is said once.
void TlsCertificates::refused(std::string_view reason, bool changed) {
  current_.set(0);
  if (!changed && reason == trouble_) return;
  trouble_ = reason;
  failures_.add();
  telemetry::log(telemetry::LogLevel::error, "tls",
                 "the certificate on disk cannot be used: the one of before stays in force",
                 {{"reason", reason}});
}

void TlsCertificates::refresh(std::int64_t unix_now_s) {
  auto now = stamps();
  const bool changed = now != stamps_;
  if (!changed && trouble_.empty()) return;
  stamps_ = std::move(now);
  auto context = make_tls_context(options_);
  if (!context) return refused(context.error().text, changed);
  if (not_after_unix_s(**context) < unix_now_s && not_after_s_ >= unix_now_s) {
    return refused("it has expired", changed);
  }
  put(std::move(*context));
  reloads_.add();
  telemetry::log(telemetry::LogLevel::info, "tls", "the certificate was read again",
                 {{"notAfter", not_after_s_}});
}

std::unique_ptr<TlsSession> TlsCertificates::accept(int socket) const {
  const std::lock_guard lock(mutex_);
  return std::make_unique<TlsSession>(*context_, socket);
}

}  // namespace trialwire::net
