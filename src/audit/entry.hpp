// SPDX-License-Identifier: Apache-2.0
// One line of the audit trail: who did what, when, why, from where. A plain value; its JSON is the
// body of a journal record of kind `audit`. docs/decisions/audit.md says what gets one.
//
//   {"who":"nurse","roles":["auditor"],"what":"read","outcome":"ok","target":"GET /v1/vitals",
//    "studyId":"T-1","subject":"P-1","timestamp":"2026-03-01T08:15:30.250Z","zone":"+01:00",
//    "rows":12,"why":"query 17","detail":{"since":"…"},"origin":"http 127.0.0.1:5123"}
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trialwire::audit {

/// Values of Entry::what.
inline constexpr std::string_view what_read = "read";
inline constexpr std::string_view what_login_failure = "login_failure";  // no token was taken
inline constexpr std::string_view what_refused = "refused";  // a token was, and is not for this
inline constexpr std::string_view what_setting = "setting";
inline constexpr std::string_view what_command = "command";  // of an operator, on this machine

/// Old and new values are cut behind so many bytes, at a character, and end in "…".
inline constexpr std::size_t value_bytes_max = 32 << 10;

struct Entry {
  std::string who;                 // a token's name, an account; empty: anonymous
  std::vector<std::string> roles;  // as the token says them
  std::string what;
  std::string outcome = "ok";  // or why not: a label
  std::string target;          // "GET /v1/vitals", a setting's name, a command
  std::string study;           // empty, as the next two: of several, or of none
  std::string site;
  std::string subject;
  std::int64_t at_ns = 0;  // since the Unix epoch
  std::string zone;        // of the machine then: "+01:00"
  std::optional<std::uint64_t> rows;
  std::optional<std::uint64_t> times;  // as often as that did it happen
  std::string why;                     // what who did it says
  std::string detail;                  // a JSON object; empty: none
  std::string old_value;
  std::string new_value;
  std::string origin;  // "http 127.0.0.1:5123", "command", "process 812"
};

/// Appends the entry as one JSON object. Members without a value are left out. All texts are UTF-8.
void append_json(std::string& to, const Entry& entry);

/// Offset of local time from UTC at that instant: "+01:00". Any thread.
std::string zone_at(std::int64_t unix_ns);

}  // namespace trialwire::audit
