// SPDX-License-Identifier: Apache-2.0
// The log: one line an event, plain or JSON, to stderr or a file. No patient data: callers pass
// route templates, ids of the system's own making, counts and codes; never bodies, never targets.
#pragma once
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "base/error.hpp"

namespace trialwire::telemetry {

enum class LogLevel : unsigned char { trace, debug, info, warn, error, off };

struct LogField {
  using Value = std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool>;

  template <typename T>
    requires std::integral<T> || std::floating_point<T> || std::convertible_to<T, std::string_view>
  LogField(std::string_view name, const T& from) : key(name), value(value_of(from)) {}

  std::string_view key;
  Value value;  // borrows for the call

 private:
  template <typename T>
  static Value value_of(const T& from) {
    if constexpr (std::same_as<T, bool>) {
      return from;
    } else if constexpr (std::signed_integral<T>) {
      return std::int64_t{from};
    } else if constexpr (std::unsigned_integral<T>) {
      return std::uint64_t{from};
    } else if constexpr (std::floating_point<T>) {
      return double{from};
    } else {
      return std::string_view(from);
    }
  }
};

struct LogOptions {
  LogLevel level = LogLevel::info;
  bool json = false;
  std::string file;  // empty: stderr
};

/// Called at start, before other threads; logging before it goes to stderr as plain text. A file is
/// made with mode 0600, its directory is not made. On error, which says why in one line, the log
/// stays as it was.
Result<void> configure_log(const LogOptions& options);

/// Text values longer than this are cut (at a character's boundary) and end in "…".
constexpr std::size_t log_value_bytes_max = 512;

/// "trace" … "off".
std::string_view name_of(LogLevel level) noexcept;
std::optional<LogLevel> log_level_of(std::string_view name) noexcept;

/// At run time, per module ("journal", "net", …); an empty module sets all.
void set_log_level(std::string_view module, LogLevel level);
/// The least that is logged of a module; of an empty one, of all that have no level of their own.
LogLevel log_level(std::string_view module);
bool log_enabled(LogLevel level, std::string_view module) noexcept;

/// What was logged is handed to the operating system when this returns.
void flush_log() noexcept;

/// Writes one line if `level` is enabled for `module`. Never throws; a full disk loses the line.
/// Example: log(LogLevel::info, "journal", "segment sealed", {{"segment", 12}, {"bytes", n}});
void log(LogLevel level, std::string_view module, std::string_view message,
         std::initializer_list<LogField> fields = {}) noexcept;

/// The line as it would be written at `unix_ns`, without its end: for tests, and for those who
/// write elsewhere.
std::string format_log_line(const LogOptions& options, std::int64_t unix_ns, LogLevel level,
                            std::string_view module, std::string_view message,
                            std::initializer_list<LogField> fields);

}  // namespace trialwire::telemetry
