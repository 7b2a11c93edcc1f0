// SPDX-License-Identifier: Apache-2.0
// Addresses to listen on: an IP address and a port, no names, so that what is bound is what is
// read.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trialwire::config {

struct ListenAddress {
  std::string host;  // "127.0.0.1", "::1": one text for each address
  std::uint16_t port = 0;
  bool loopback = false;
};

/// "127.0.0.1:8080", "[::1]:0", "0.0.0.0:80". Port 0 takes a free one.
std::optional<ListenAddress> parse_listen_address(std::string_view text);

}  // namespace trialwire::config
