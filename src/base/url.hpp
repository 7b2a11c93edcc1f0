// SPDX-License-Identifier: Apache-2.0
// URLs of servers: scheme://user:password@host:port/path?name=value&…, percent-decoded (RFC 3986).
// Pure functions.
#pragma once
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trialwire {

struct Url {
  std::string scheme;  // in lower case
  std::optional<std::string> user;
  std::optional<std::string> password;
  std::string host;        // without the brackets of an IPv6 address
  std::uint16_t port = 0;  // 0: none was given
  std::string path;        // without the first slash
  std::vector<std::pair<std::string, std::string>> parameters;

  /// The first of that name.
  std::optional<std::string_view> parameter(std::string_view name) const noexcept;
};

/// The URL, or what is wrong with it, without repeating it: "has a port that is no number from 1 to
/// 65535". A fragment is wrong.
std::expected<Url, std::string> parse_url(std::string_view text);

}  // namespace trialwire
