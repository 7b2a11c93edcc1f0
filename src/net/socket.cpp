// SPDX-License-Identifier: Apache-2.0
#include "net/socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

namespace trialwire::net {
namespace {

/// A socket bound to the address; -1 and errno on failure.
int bound_socket(const Address& address, bool share) {
  int socket = ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  int on = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6)
    ::setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  bool ok = !share || ::setsockopt(socket, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
  // Accepted sockets inherit it.
  ok = ok && ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0;
  ok = ok && ::bind(socket, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0;
  if (ok) return socket;
  int error = errno;
  ::close(socket);
  errno = error;
  return -1;
}

std::unexpected<Error> cannot_listen(std::string_view address) {
  int error = errno;
  if (error == EADDRINUSE)
    return fail(ErrorCode::unavailable, fmt::format("cannot listen on {}: it is taken", address));
  return std::unexpected(errno_error(fmt::format("cannot listen on {}", address), error));
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  auto malformed = [&] {
    return fail(ErrorCode::invalid_argument,
                fmt::format("{}: not an address like 127.0.0.1:8080 or [::1]:8080", text));
  };
  std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return malformed();
  std::string_view port_text = text.substr(colon + 1);
  std::uint16_t port = 0;
  auto parsed = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (parsed.ec != std::errc() || parsed.ptr != port_text.data() + port_text.size())
    return malformed();
  std::string host(text.substr(0, colon));
  Address address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) != 1) return malformed();
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.size = sizeof v6;
  } else {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) != 1) return malformed();
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.size = sizeof v4;
  }
  return address;
}

std::string address_text(const sockaddr_storage& address) {
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, &address, sizeof v6);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host.data(), host.size());
    return fmt::format("[{}]:{}", host.data(), ntohs(v6.sin6_port));
  }
  sockaddr_in v4;
  std::memcpy(&v4, &address, sizeof v4);
  ::inet_ntop(AF_INET, &v4.sin_addr, host.data(), host.size());
  return fmt::format("{}:{}", host.data(), ntohs(v4.sin_port));
}

Result<ListeningSockets> open_listeners(std::string_view text, std::size_t count, int backlog) {
  auto address = parse_address(text);
  if (!address) return std::unexpected(address.error());
  int first_try = bound_socket(*address, false);
  if (first_try < 0) return cannot_listen(text);
  ::close(first_try);
  ListeningSockets result;
  auto failed = [&] {
    auto error = cannot_listen(text);
    for (int socket : result.sockets) ::close(socket);
    return error;
  };
  for (std::size_t i = 0; i < count; ++i) {
    int socket = bound_socket(*address, true);
    if (socket < 0) return failed();
    result.sockets.push_back(socket);
    if (::listen(socket, backlog) != 0) return failed();
    // Port 0 has become a real one, which the others share.
    ::getsockname(socket, reinterpret_cast<sockaddr*>(&address->storage), &address->size);
  }
  result.address = address_text(address->storage);
  return result;
}

}  // namespace trialwire::net
