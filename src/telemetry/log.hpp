// SPDX-License-Identifier: Apache-2.0
// The log: one line an event, plain or JSON, to stderr or a file. No patient data: callers pass
// route templates, ids of the system's own making, counts and codes; never bodies, never targets.
#pragma once
#include <string>
#include <string_view>
#include <initializer_list>
#include <utility>
#include <variant>

namespace trialwire::telemetry {

enum class LogLevel : unsigned char { trace, debug, info, warn, error, off };

struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, std::uint64_t, double, bool> value;
};

struct LogOptions {
  LogLevel level = LogLevel::info;
  bool json = false;
  std::string file;  // empty: stderr
};

/// Called once at start, before other threads; logging before it goes to stderr as plain text.
void configure_log(const LogOptions& options);

/// At run time, per module ("journal", "net", …); empty module: all.
void set_log_level(std::string_view module, LogLevel level);

/// Writes one line if `level` is enabled for `module`. Never throws; a full disk loses the line.
/// Example: log(LogLevel::info, "journal", "segment sealed", {{"segment", 12}, {"bytes", n}});
void log(LogLevel level, std::string_view module, std::string_view message,
         std::initializer_list<LogField> fields = {}) noexcept;

}  // namespace trialwire::telemetry
