// SPDX-License-Identifier: Apache-2.0
#include "config/address.hpp"

#include <arpa/inet.h>

#include <charconv>

namespace trialwire::config {

std::optional<ListenAddress> parse_listen_address(std::string_view text) {
  ListenAddress address;
  bool v6 = text.starts_with('[');
  std::size_t end = v6 ? text.find("]:") : text.rfind(':');
  if (end == std::string_view::npos) return std::nullopt;
  address.host = v6 ? text.substr(1, end - 1) : text.substr(0, end);
  std::string_view port = text.substr(end + (v6 ? 2 : 1));
  if (port.empty() || port.size() > 5) return std::nullopt;
  auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc{} || stop != port.data() + port.size()) return std::nullopt;
  if (v6) {
    in6_addr ip{};
    if (inet_pton(AF_INET6, address.host.c_str(), &ip) != 1) return std::nullopt;
    address.loopback = IN6_IS_ADDR_LOOPBACK(&ip);
    char canonical[INET6_ADDRSTRLEN] = "";  // "0:0::1" is "::1"
    address.host = inet_ntop(AF_INET6, &ip, canonical, sizeof canonical);
  } else {
    in_addr ip{};
    if (inet_pton(AF_INET, address.host.c_str(), &ip) != 1) return std::nullopt;
    address.loopback = (ntohl(ip.s_addr) >> 24) == 127;
  }
  return address;
}

}  // namespace trialwire::config
