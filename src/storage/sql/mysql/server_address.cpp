// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/server_address.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/url.hpp"

namespace trialwire::storage::mysql {
namespace {

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::invalid_argument, fmt::format("mysql URL: {}", why));
}

bool has_control(std::string_view text) noexcept {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

Result<Encryption> encryption_of(std::string_view text) {
  if (text == "off") return Encryption::off;
  if (text == "require") return Encryption::require;
  if (text == "verify") return Encryption::verify;
  return refuse("ssl must be off, require or verify");
}

Result<void> take_parameter(std::string_view name, std::string value, ServerAddress& address) {
  if (value.empty() || has_control(value)) return refuse("a parameter has no value");
  if (name == "ssl") {
    auto encryption = encryption_of(value);
    if (!encryption) return std::unexpected(encryption.error());
    address.encryption = *encryption;
    return {};
  }
  std::string* to = name == "ssl_ca"     ? &address.ca_file
                    : name == "ssl_cert" ? &address.certificate_file
                    : name == "ssl_key"  ? &address.key_file
                    : name == "socket"   ? &address.socket
                                         : nullptr;
  if (to == nullptr) return refuse("knows ssl, ssl_ca, ssl_cert, ssl_key and socket only");
  *to = std::move(value);
  return {};
}

Result<void> take_parameters(Url& url, ServerAddress& address) {
  for (auto& [name, value] : url.parameters) {
    if (std::ranges::count(url.parameters, name, &std::pair<std::string, std::string>::first) > 1) {
      return refuse("a parameter is given twice");
    }
    if (auto taken = take_parameter(name, std::move(value), address); !taken) return taken;
  }
  return {};
}

Result<void> check(const ServerAddress& address) {
  if (address.user.empty()) {
    return refuse("names no user: mysql://user:password@host:port/database");
  }
  if (address.database.empty() || address.database.contains('/')) {
    return refuse("names no database: mysql://user:password@host:port/database");
  }
  if (address.host.empty() && address.socket.empty()) {
    return refuse("names no host: mysql://user:password@host:port/database");
  }
  for (std::string_view text :
       {std::string_view(address.user), std::string_view(address.password),
        std::string_view(address.host), std::string_view(address.database)}) {
    if (has_control(text)) return refuse("holds a control character");
  }
  bool files =
      !address.ca_file.empty() || !address.certificate_file.empty() || !address.key_file.empty();
  if (files && address.encryption == Encryption::off) {
    return refuse("has certificates, but ssl is off: say ssl=verify");
  }
  if (address.certificate_file.empty() != address.key_file.empty()) {
    return refuse("ssl_cert and ssl_key belong together");
  }
  return {};
}

}  // namespace

std::string ServerAddress::text() const {
  if (!socket.empty()) return fmt::format("{}/{}", socket, database);
  bool bracketed = host.contains(':');
  return fmt::format("{}{}{}:{}/{}", bracketed ? "[" : "", host, bracketed ? "]" : "", port,
                     database);
}

Result<ServerAddress> parse_server_address(std::string_view text) {
  auto url = parse_url(text);
  if (!url) return refuse(url.error());
  if (url->scheme != "mysql") return refuse("must begin with mysql://");
  ServerAddress address;
  address.user = url->user.value_or("");
  address.password = url->password.value_or("");
  address.host = std::move(url->host);
  if (url->port != 0) address.port = url->port;
  address.database = std::move(url->path);
  if (auto taken = take_parameters(*url, address); !taken) return std::unexpected(taken.error());
  if (auto checked = check(address); !checked) return std::unexpected(checked.error());
  return address;
}

}  // namespace trialwire::storage::mysql
