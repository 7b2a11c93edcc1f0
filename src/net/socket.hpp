// SPDX-License-Identifier: Apache-2.0
// Addresses and listening sockets. Any thread; failures name the address.
#pragma once
#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace trialwire::net {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

/// "127.0.0.1:8080", "[::1]:0": numbers, no names.
Result<Address> parse_address(std::string_view text);
std::string address_text(const sockaddr_storage& address);

/// `count` listening sockets on one address, all with SO_REUSEPORT, and the address with the port
/// that was taken. Refused when the address is taken, also by a process that itself uses
/// SO_REUSEPORT: a socket without the option tries first. Between that try and the binding another
/// process may still come in between; both would then share the port.
struct ListeningSockets {
  std::vector<int> sockets;
  std::string address;
};
Result<ListeningSockets> open_listeners(std::string_view address, std::size_t count, int backlog);

}  // namespace trialwire::net
