// SPDX-License-Identifier: Apache-2.0
// A question to the admin port of a running server, for subcommands: blocking, one connection each.
#pragma once
#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace trialwire {

/// "127.0.0.1:6060" of the server that runs on this directory. Errors: not_found, when none does.
Result<std::string> published_admin_address(const std::filesystem::path& data_dir);

/// Empty, or what is wrong with an address that someone typed: it is to be HOST:PORT.
std::string wrong_admin_address(const std::string& address);

struct AdminPort {
  std::string address;
  std::string token;  // empty: it asks for none
  std::chrono::milliseconds patience{5'000};
};

/// The body of the answer to a GET. Errors: unavailable (nobody listens, no answer in time, cut
/// off), unauthenticated (it wants a token, or another), internal (another status than 200); the
/// text names the address, never the token.
Result<std::string> ask_admin(const AdminPort& port, std::string_view path);

/// The body of /readyz, whether it says ready (200) or not (503). Errors: as ask_admin.
Result<std::string> ask_readiness(const AdminPort& port);

}  // namespace trialwire
