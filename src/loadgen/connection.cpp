// SPDX-License-Identifier: Apache-2.0
#include "loadgen/connection.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace trialwire::loadgen {

Result<Endpoint> resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const auto service = fmt::to_string(port);
  const int error = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &found);
  if (error != 0) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("cannot resolve {}: {}", host, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  Endpoint endpoint;
  std::memcpy(&endpoint.address, found->ai_addr, found->ai_addrlen);
  endpoint.size = found->ai_addrlen;
  endpoint.host = host;
  const bool bare_v6 = host.find(':') != host.npos;
  endpoint.name = bare_v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
  return endpoint;
}

Connection::Connection(Connection&& other) noexcept
    : partial(std::move(other.partial)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      tls_(std::move(other.tls_)),
      joined_(other.joined_),
      state_(std::exchange(other.state_, State::closed)),
      ring_(other.ring_) {}

int Connection::open(const Endpoint& endpoint, int epoll, std::uint32_t tag) {
  close();
  descriptor_ = ::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (descriptor_ < 0) return errno;
  const int on = 1;
  ::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const auto* address = reinterpret_cast<const sockaddr*>(&endpoint.address);
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.u32 = tag;
  if ((::connect(descriptor_, address, endpoint.size) != 0 && errno != EINPROGRESS) ||
      ::epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor_, &event) != 0) {
    const int error = errno;
    close();
    return error;
  }
  if (endpoint.tls) {
    tls_ = std::make_unique<TlsClient>(*endpoint.tls, descriptor_, endpoint.host);
  }
  state_ = State::connecting;
  return 0;
}

void Connection::adopt(int descriptor) noexcept {
  close();
  descriptor_ = descriptor;
  state_ = State::connecting;
}

int Connection::finish_open() noexcept {
  int error = 0;
  socklen_t size = sizeof error;
  if (!joined_) {
    if (::getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error == 0 && connected_to_itself()) error = ECONNREFUSED;
    joined_ = error == 0;
  }
  if (error == 0 && tls_) error = tls_->handshake();
  if (error == 0) state_ = State::open;
  return error;
}

// While nobody listens on a local port of the ephemeral range, a connect to it may be given that
// very port as its source, and TCP then joins the socket with itself. It is reset at once:
// lingering, it would keep the server from binding its port again.
bool Connection::connected_to_itself() const noexcept {
  sockaddr_storage local{};
  sockaddr_storage remote{};
  socklen_t local_size = sizeof local;
  socklen_t remote_size = sizeof remote;
  if (::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&local), &local_size) != 0 ||
      ::getpeername(descriptor_, reinterpret_cast<sockaddr*>(&remote), &remote_size) != 0 ||
      local_size != remote_size || std::memcmp(&local, &remote, local_size) != 0) {
    return false;
  }
  const linger reset{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  return true;
}

void Connection::close() noexcept {
  tls_.reset();
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  joined_ = false;
  state_ = State::closed;
  head_ = tail_ = 0;
  unsent_.clear();
  unsent_at_ = 0;
  partial.clear();
  answers = 0;
  server_closes = false;
}

ssize_t Connection::put(const char* from, std::size_t size) noexcept {
  return tls_ ? tls_->send(from, size) : ::send(descriptor_, from, size, MSG_NOSIGNAL);
}

ssize_t Connection::receive(char* to, std::size_t room) noexcept {
  return tls_ ? tls_->receive(to, room) : ::recv(descriptor_, to, room, 0);
}

Connection::Sent Connection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent = put(bytes.data(), bytes.size());
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN) return Sent::failed;
    if (sent < 0) {
      unsent_.assign(bytes);
      unsent_at_ = 0;
      return Sent::partly;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return Sent::all;
}

Connection::Sent Connection::send_rest() {
  while (unsent_at_ < unsent_.size()) {
    const auto sent = put(unsent_.data() + unsent_at_, unsent_.size() - unsent_at_);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return errno == EAGAIN ? Sent::partly : Sent::failed;
    unsent_at_ += static_cast<std::size_t>(sent);
  }
  unsent_.clear();
  unsent_at_ = 0;
  return Sent::all;
}

}  // namespace trialwire::loadgen
