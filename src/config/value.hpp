// SPDX-License-Identifier: Apache-2.0
// Values of settings as text: how each kind is read and written. Pure functions.
#pragma once
#include <chrono>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace trialwire::config {

enum class Kind : std::uint8_t {
  boolean,      // true, false
  integer,      // 10240
  bytes,        // 128MiB, 64KB, 512B
  duration,     // 500us, 5.5s, 24h, 25y
  percent,      // 90%
  choice,       // one of a closed set
  text,         // any
  choice_list,  // [gateway, api]
  text_list,    // [broker-1:9092, broker-2:9092], or []
  listen,       // 127.0.0.1:8080, [::1]:0, or empty: off
  url,          // sqlite:data/trialwire.db
  routes,       // {/v1/vitals: {per_second: 50}}; its value is that text
};

using Value = std::variant<bool, std::uint64_t, std::chrono::nanoseconds, double, std::string,
                           std::vector<std::string>>;

/// What may be given: `minimum` and `maximum` in the kind's unit (bytes, nanoseconds, percent).
struct Constraint {
  Kind kind = Kind::text;
  std::uint64_t minimum = 0;
  std::uint64_t maximum = UINT64_MAX;
  std::span<const std::string_view> choices;
};

/// "a size such as 64KiB, 1MiB or 2GB, 4KiB to 1GiB".
std::string expected_form(const Constraint& constraint);

/// The value, or why not: "must be a size such as 64KiB, …". The text itself is not repeated.
std::expected<Value, std::string> parse_value(const Constraint& constraint, std::string_view text);
/// Of list kinds.
std::expected<Value, std::string> parse_list(const Constraint& constraint,
                                             const std::vector<std::string>& items);

/// As it is read again by `parse_value`: 134217728 bytes are "128MiB".
std::string format_value(Kind kind, const Value& value);

/// A URL without what must not be seen: "postgres://user:***@host/db?password=***".
std::string mask_url(std::string_view url);

}  // namespace trialwire::config
