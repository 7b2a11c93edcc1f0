// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/error_number.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>

#include <fmt/format.h>

namespace trialwire::storage::mysql {
namespace {

using enum ErrorCode;

struct Known {
  unsigned number;
  ErrorCode code;
  std::string_view condition;
};

// By number, ascending. Numbers from 1900 to 2999 differ between the two servers: those of the
// server's here are MariaDB's; 3000 to 3999 are MySQL's, 4000 and more MariaDB's.
constexpr std::array known{
    Known{1016, unavailable, "a table's file cannot be opened"},
    Known{1021, disk_full, "the server's disk is full"},
    Known{1026, io, "the server cannot write a file"},
    Known{1030, io, "the storage engine failed"},
    Known{1034, corrupt, "an index is damaged"},
    Known{1037, overloaded, "the server is out of memory"},
    Known{1038, overloaded, "the server is out of memory for sorting"},
    Known{1040, overloaded, "too many connections"},
    Known{1041, overloaded, "the server is out of memory"},
    Known{1044, forbidden, "the user may not use this database"},
    Known{1045, unauthenticated, "wrong user or password"},
    Known{1046, not_found, "no database is chosen"},
    Known{1048, invalid_argument, "a column that wants a value got none"},
    Known{1049, not_found, "there is no such database"},
    Known{1053, unavailable, "the server is stopping"},
    Known{1062, invalid_argument, "a unique key exists already"},
    Known{1079, unavailable, "the server is stopping"},
    Known{1114, disk_full, "the table is full"},
    Known{1129, unavailable, "this host is blocked by the server after many failed connections"},
    Known{1130, forbidden, "the server admits no connection from this host"},
    Known{1142, forbidden, "the user lacks a grant on the table"},
    Known{1143, forbidden, "the user lacks a grant on a column"},
    Known{1146, unavailable, "there is no such table"},
    Known{1153, payload_too_large, "larger than max_allowed_packet"},
    Known{1184, unavailable, "the connection was aborted"},
    Known{1194, corrupt, "a table is damaged"},
    Known{1195, corrupt, "a table is damaged"},
    Known{1203, overloaded, "too many connections of this user"},
    Known{1205, unavailable, "a lock was waited for too long"},
    Known{1206, overloaded, "the lock table is full"},
    Known{1213, unavailable, "a deadlock, which this transaction lost"},
    Known{1226, overloaded, "the user's limit is reached"},
    Known{1227, forbidden, "the user lacks a privilege"},
    Known{1264, invalid_argument, "a value is out of its column's range"},
    Known{1265, invalid_argument, "a value would be cut"},
    Known{1290, unavailable, "the server is read-only"},
    Known{1292, invalid_argument, "a value is not of its column's type"},
    Known{1300, invalid_argument, "a text is not valid UTF-8"},
    Known{1317, cancelled, "the statement was killed"},
    Known{1366, invalid_argument, "a value is not of its column's type or characters"},
    Known{1367, invalid_argument, "a value is not of its column's type"},
    Known{1406, invalid_argument, "a value is too long for its column"},
    Known{1461, overloaded, "too many prepared statements"},
    Known{1568, unavailable, "the transaction's settings cannot change now"},
    Known{1615, unavailable, "a prepared statement must be prepared again"},
    Known{1698, unauthenticated, "wrong user or password"},
    Known{1712, corrupt, "an index is damaged"},
    Known{1792, unavailable, "the transaction is read-only"},
    Known{1836, unavailable, "the server is read-only"},
    Known{1877, corrupt, "a table is damaged"},
    Known{1927, unavailable, "the connection was killed"},
    Known{1932, unavailable, "the storage engine lacks the table"},
    Known{1969, deadline_exceeded, "the statement took too long"},
    Known{2002, unavailable, "cannot connect"},
    Known{2003, unavailable, "cannot connect"},
    Known{2005, unavailable, "no such host"},
    Known{2006, unavailable, "the server has gone away"},
    Known{2008, overloaded, "the client library is out of memory"},
    Known{2012, unavailable, "the server's greeting cannot be understood"},
    Known{2013, unavailable, "the connection was lost"},
    Known{2014, internal, "commands are out of sync"},
    Known{2020, payload_too_large, "larger than a packet may be"},
    Known{2026, unavailable, "TLS: no encrypted connection, or a certificate that is not trusted"},
    Known{2027, unavailable, "the server's answer cannot be understood"},
    Known{2055, unavailable, "the connection was lost"},
    Known{2056, unavailable, "the connection was lost"},
    Known{2059, unavailable, "the client library lacks the server's authentication plugin"},
    Known{2061, unavailable, "the authentication plugin failed"},
    Known{3024, deadline_exceeded, "the statement took too long"},
    Known{3118, unauthenticated, "the account is locked"},
    Known{3168, unavailable, "the server is not available"},
    Known{3819, invalid_argument, "a value breaks a check of the table"},
    Known{4025, invalid_argument, "a value breaks a check of the table"},
    Known{4031, unavailable, "the connection was idle for too long"},
};

static_assert(std::ranges::is_sorted(known, {}, &Known::number));

const Known* find(unsigned number) noexcept {
  const auto* found = std::ranges::lower_bound(known, number, {}, &Known::number);
  return found != known.end() && found->number == number ? found : nullptr;
}

/// Classes of ISO 9075 and the X/Open ones that MySQL uses.
ErrorCode code_of_class(std::string_view sqlstate) noexcept {
  std::string_view first = sqlstate.substr(0, 2);
  if (first == "22" || first == "23") return invalid_argument;  // data, integrity
  if (first == "08") return unavailable;                        // connection
  if (first == "28") return unauthenticated;
  if (first == "40") return unavailable;  // rolled back: serialization
  if (first == "70") return cancelled;    // 70100
  return internal;
}

}  // namespace

ErrorCode error_code(const ErrorNumber& error) noexcept {
  if (const Known* found = find(error.number)) return found->code;
  if (error.number >= 2000 && error.number < 3000) return unavailable;
  return code_of_class(error.sqlstate);
}

std::string describe(const ErrorNumber& error) {
  const Known* found = find(error.number);
  std::string_view condition = found != nullptr ? found->condition : "refused by the server";
  std::string reason;
  if (error.system_error > 0) {
    reason = ": " + std::generic_category().message(error.system_error);
  }
  if (!error.refuses.empty()) reason += fmt::format(": {}", error.refuses);
  return fmt::format("{}{} (error {}, SQLSTATE {})", condition, reason, error.number,
                     error.sqlstate);
}

std::string refuses(unsigned number, std::string_view message) {
  struct Form {
    unsigned number;
    std::string_view what, before;  // the name, from its last place on
    char after;
  };
  static constexpr std::array forms{
      Form{1048, "column", "Column '", '\''},        Form{1062, "key", "for key '", '\''},
      Form{1264, "column", "for column '", '\''},    Form{1265, "column", "for column '", '\''},
      Form{1406, "column", "for column '", '\''},    Form{3819, "constraint", "constraint '", '\''},
      Form{4025, "constraint", "CONSTRAINT `", '`'},
  };
  const auto* form = std::ranges::find(forms, number, &Form::number);
  if (form == forms.end()) return {};
  const std::size_t at = message.rfind(form->before);
  if (at == std::string_view::npos) return {};
  message.remove_prefix(at + form->before.size());
  const std::string_view name = message.substr(0, message.find(form->after));
  const auto is_of_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_.$-").contains(c);
  };
  if (name.empty() || name.size() == message.size() || !std::ranges::all_of(name, is_of_name)) {
    return {};
  }
  return fmt::format("{} {}", form->what, name);
}

int system_error(unsigned number, std::string_view message) noexcept {
  if (number != error_no_socket && number != error_no_server) return 0;
  const std::size_t open = message.rfind('(');
  if (open == std::string_view::npos || !message.ends_with(')')) return 0;
  int value = 0;
  const char* end = message.data() + message.size() - 1;
  const auto read = std::from_chars(message.data() + open + 1, end, value);
  return read.ec == std::errc{} && read.ptr == end && value > 0 ? value : 0;
}

}  // namespace trialwire::storage::mysql
