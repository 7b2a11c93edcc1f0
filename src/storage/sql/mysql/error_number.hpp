// SPDX-License-Identifier: Apache-2.0
// What the errors of MySQL and MariaDB are to a caller: by number and SQLSTATE, never by text. Pure
// functions; any thread. The texts here are our own: a server's message may hold values of a row.
// Of it only the name of a key, column or constraint is taken.
//
// | what | code |
// | --- | --- |
// | no connection, server stopping or read-only, lock wait, deadlock, no table | unavailable |
// | too many connections, out of memory | overloaded |
// | no room on the server's disk | disk_full |
// | killed; timed out by the server | cancelled; deadline_exceeded |
// | wrong password; no grant; no such database | unauthenticated; forbidden; not_found |
// | a value that its column refuses | invalid_argument |
// | longer than a packet may be | payload_too_large |
// | a damaged table or index | corrupt |
// | everything else | internal |
#pragma once
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace trialwire::storage::mysql {

struct ErrorNumber {
  unsigned number = 0;        // 1000 to 1999 and 3000 on: the server's; 2000 to 2999: the client's
  std::string_view sqlstate;  // of five characters; for numbers that are not known here
  int system_error = 0;       // errno of a connection that was not made; 0: none is known
  std::string_view refuses;   // the key, column or constraint, as `refuses`; empty: not known
};

ErrorCode error_code(const ErrorNumber& error) noexcept;

/// "a deadlock, which this transaction lost (error 1213, SQLSTATE 40001)", "cannot connect:
/// Connection refused (error 2002, SQLSTATE HY000)"
std::string describe(const ErrorNumber& error);

/// The errno that the client library has only in its message: "Can't connect to server on 'db'
/// (111)". 0 where the error is none of a connection that was not made.
int system_error(unsigned number, std::string_view message) noexcept;

/// "key one_a_site", "column site_id", "constraint short": what refuses a row, from the server's
/// message of these errors; empty where it is another one, or says it otherwise. Never a value: a
/// name is letters, digits and _ . $ - here.
std::string refuses(unsigned number, std::string_view message);

constexpr unsigned error_no_value = 1048;
constexpr unsigned error_duplicate_key = 1062;
constexpr unsigned error_no_socket = 2002;
constexpr unsigned error_no_server = 2003;
constexpr unsigned error_deadlock = 1213;

}  // namespace trialwire::storage::mysql
