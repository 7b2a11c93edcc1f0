// SPDX-License-Identifier: Apache-2.0
#include "base/error.hpp"

#include <array>
#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "base/check.hpp"

namespace trialwire {
namespace {

constexpr std::array<ErrorTraits, static_cast<std::size_t>(ErrorCode::count_)> table{{
    {"invalid_argument", 400, "Bad Request", 3, false},
    {"unauthenticated", 401, "Unauthorized", 16, false},
    {"forbidden", 403, "Forbidden", 7, false},
    {"not_found", 404, "Not Found", 5, false},
    {"method_not_allowed", 405, "Method Not Allowed", 12, false},
    {"request_timeout", 408, "Request Timeout", 4, true},
    {"conflict", 409, "Conflict", 6, false},
    {"payload_too_large", 413, "Content Too Large", 8, false},
    {"uri_too_long", 414, "URI Too Long", 3, false},
    {"unsupported_media_type", 415, "Unsupported Media Type", 3, false},
    {"rate_limited", 429, "Too Many Requests", 8, true},
    {"header_too_large", 431, "Request Header Fields Too Large", 3, false},
    {"cancelled", 499, "Client Closed Request", 1, true},
    {"internal", 500, "Internal Server Error", 13, false},
    {"not_implemented", 501, "Not Implemented", 12, false},
    {"unavailable", 503, "Service Unavailable", 14, true},
    {"overloaded", 503, "Service Unavailable", 8, true},
    {"deadline_exceeded", 504, "Gateway Timeout", 4, true},
    {"disk_full", 503, "Service Unavailable", 14, true},
    {"io", 500, "Internal Server Error", 13, false},
    {"corrupt", 500, "Internal Server Error", 15, false},
}};

}  // namespace

const ErrorTraits& traits(ErrorCode code) noexcept {
  auto index = static_cast<std::size_t>(code);
  TW_CHECK(index < table.size());
  return table[index];
}

Error errno_error(std::string_view what, int error_number) {
  bool full = error_number == ENOSPC || error_number == EDQUOT;
  return Error{full ? ErrorCode::disk_full : ErrorCode::io,
               fmt::format("{}: {}", what, std::generic_category().message(error_number))};
}

}  // namespace trialwire
