// SPDX-License-Identifier: Apache-2.0
// What an SQLSTATE is to a caller: the five characters decide, never an error's text, which is
// translated, changes between versions and may hold values of a row. Pure; any thread.
//
//   code of the Error                  what the lane does
//   unavailable, overloaded,           the same again, later: the server, the network or another
//   disk_full, deadline_exceeded, io   transaction stands in the way
//   unauthenticated, forbidden,        likewise, and shows that it is stuck: the operator's set-up
//   not_found, internal, corrupt       stands in the way (login, database, other columns), no row
//   invalid_argument,                  looks for the row that the database can never take
//   payload_too_large
#pragma once
#include <string_view>

#include "base/error.hpp"

namespace trialwire::storage::postgres {

namespace sqlstate {
constexpr std::string_view undefined_table = "42P01";
}  // namespace sqlstate

/// Empty or malformed (the connection broke before the server said anything): unavailable.
ErrorCode error_code(std::string_view sqlstate) noexcept;

/// PostgreSQL's own name of the condition, or of its class: "check_violation", "data exception".
/// Empty when neither is listed.
std::string_view condition_name(std::string_view sqlstate) noexcept;

}  // namespace trialwire::storage::postgres
