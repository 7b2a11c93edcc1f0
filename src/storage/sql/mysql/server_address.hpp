// SPDX-License-Identifier: Apache-2.0
// Where a MySQL or MariaDB server is, as one URL, parsed strictly: what is not understood is
// refused, never ignored. Pure functions. No text of an error repeats the URL, which may hold a
// password.
//
//   mysql://user:password@host:port/database?parameter=value&…
//
// User, password, host, database and values are percent-decoded ('+' is a plus). An IPv6 address
// stands in brackets. The port is 3306 unless given. A parameter is given once.
//
// | parameter | meaning |
// | --- | --- |
// | ssl | `off` (default), `require`: encrypted, whoever it is, `verify`: by certificate and name |
// | ssl_ca, ssl_cert, ssl_key | PEM files; ssl_ca is whom to trust, in place of the system's |
// | socket | path of the server's local socket, in place of host and port |
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace trialwire::storage::mysql {

enum class Encryption : std::uint8_t { off, require, verify };

struct ServerAddress {
  std::string host = "127.0.0.1";
  std::uint16_t port = 3306;
  std::string socket;  // not empty: in place of host and port
  std::string user;
  std::string password;
  std::string database;
  Encryption encryption = Encryption::off;
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;

  /// "127.0.0.1:3306/trialwire", for people; neither user nor password.
  std::string text() const;
};

/// Errors: invalid_argument, which says what is missing or wrong.
Result<ServerAddress> parse_server_address(std::string_view url);

}  // namespace trialwire::storage::mysql
