// SPDX-License-Identifier: Apache-2.0
// A connection's bytes: to and from its socket, through TLS where there is some.
#include <sys/socket.h>

#include <cerrno>

#include "net/connection.hpp"

namespace trialwire::net {
namespace {

/// A buffer that one large answer has grown is not kept for all time.
constexpr std::size_t output_kept_bytes = 1 << 20;

}  // namespace

/// Bytes received; 0: none are there; -1: the client has closed, or the connection broke.
long Connection::receive(char* to, std::size_t room) noexcept {
  const long received = tls_ == nullptr ? receive_plain(to, room) : receive_tls(to, room);
  if (received > 0) listener_.metrics().bytes_in.add(static_cast<std::uint64_t>(received));
  return received;
}

long Connection::receive_plain(char* to, std::size_t room) noexcept {
  ssize_t received = ::recv(socket_, to, room, 0);
  if (received < 0) {
    if (errno == EINTR) return 0;
    readable_ = false;
    if (errno == EAGAIN) return 0;
    broken_ = true;
    return -1;
  }
  if (received == 0) {
    readable_ = false;
    return -1;
  }
  // A short read has drained the socket (epoll(7)); if the client has closed, the end is still to
  // be read.
  if (static_cast<std::size_t>(received) < room && !peer_closed_) readable_ = false;
  return received;
}

/// Record by record, until there are none or `room` is full. What ends it behind some bytes is
/// found again by the next read.
long Connection::receive_tls(char* to, std::size_t room) noexcept {
  HttpMetrics& metrics = listener_.metrics();
  const bool greeting = !tls_->established();
  const ServerCore& core = listener_.core();
  tls_->keep_buffers(core.connections.load(std::memory_order_relaxed) <=
                     core.options.tls_kept_buffers);
  std::size_t received = 0;
  TlsSession::Step step{TlsSession::State::ok};
  while (received < room) {
    step = tls_->read(to + received, room - received);
    if (step.state != TlsSession::State::ok) break;
    received += step.bytes;
    // As with a short read of plain bytes.
    if (tls_->drained() && !peer_closed_) {
      readable_ = false;
      break;
    }
  }
  if (greeting && tls_->established()) metrics.tls_handshakes.add();
  switch (step.state) {
    case TlsSession::State::ok:
      break;
    case TlsSession::State::want_write:
      crossed_ = true;
      [[fallthrough]];
    case TlsSession::State::want_read:
      readable_ = false;
      break;
    case TlsSession::State::closed:
    case TlsSession::State::failed:
      if (received > 0) break;
      readable_ = false;
      broken_ = step.state == TlsSession::State::failed;
      if (greeting && broken_) metrics.tls_handshakes_failed.add();
      return -1;
  }
  return static_cast<long>(received);
}

/// Bytes that the socket took; when not all of them, it has to be waited for.
std::size_t Connection::put(std::string_view bytes) noexcept {
  const std::size_t taken = tls_ == nullptr ? put_plain(bytes) : put_tls(bytes);
  listener_.metrics().bytes_out.add(taken);
  if (taken < bytes.size()) writable_ = false;
  return taken;
}

std::size_t Connection::put_plain(std::string_view bytes) noexcept {
  ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<std::size_t>(sent);
  if (errno != EAGAIN && errno != EINTR) broken_ = true;
  return 0;
}

std::size_t Connection::put_tls(std::string_view bytes) noexcept {
  std::size_t taken = 0;
  while (taken < bytes.size()) {
    const auto step = tls_->write(bytes.data() + taken, bytes.size() - taken);
    if (step.state == TlsSession::State::ok) {
      taken += step.bytes;
      continue;
    }
    crossed_ = step.state == TlsSession::State::want_read;
    broken_ = step.state == TlsSession::State::closed || step.state == TlsSession::State::failed;
    break;
  }
  return taken;
}

void Connection::send_output() noexcept {
  ByteBuffer& out = listener_.workspace().output;
  if (out.empty()) return;
  const std::size_t taken = put(out.view());
  if (taken < out.size() && !broken_) {
    unsent_.append(out.view().substr(taken));
    unsent_from_ = 0;
  }
  out.clear();
  if (out.capacity() > output_kept_bytes) out.release();
}

void Connection::send_unsent() noexcept {
  unsent_from_ += put(unsent_.view().substr(unsent_from_));
  if (unsent_from_ < unsent_.size()) return;
  unsent_.release();
  unsent_from_ = 0;
}

bool Connection::linger_over() noexcept {
  Workspace& work = listener_.workspace();
  while (readable_) {
    long received = receive_plain(work.input.get(), Workspace::input_bytes);
    if (received < 0) return true;
    lingered_ += static_cast<std::size_t>(received);
    if (lingered_ > listener_.options().linger_bytes_max) return true;
  }
  return false;
}

}  // namespace trialwire::net
