// SPDX-License-Identifier: Apache-2.0
#include "telemetry/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include "base/rfc3339.hpp"

namespace trialwire::telemetry {
namespace {

using Buffer = fmt::memory_buffer;

constexpr std::array<std::string_view, 6> level_names{"trace", "debug", "info",
                                                      "warn",  "error", "off"};
constexpr std::string_view replacement = "\xEF\xBF\xBD";  // U+FFFD

void append(Buffer& to, std::string_view text) {
  to.append(text.data(), text.data() + text.size());
}

/// Bytes of the valid UTF-8 sequence at the front of `text`; 0 when there is none.
std::size_t utf8_sequence(std::string_view text) {
  auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(0);
  std::size_t size = lead < 0x80   ? 1
                     : lead < 0xC2 ? 0
                     : lead < 0xE0 ? 2
                     : lead < 0xF0 ? 3
                     : lead < 0xF5 ? 4
                                   : 0;
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // over-long
  if (lead == 0xED && byte(1) > 0x9F) return 0;  // surrogates
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return size;
}

/// The inside of a JSON string; also what keeps a plain line one line.
void append_escaped(Buffer& to, std::string_view text) {
  std::size_t written = 0;
  while (!text.empty()) {
    if (written >= log_value_bytes_max) return append(to, "…");
    std::size_t size = utf8_sequence(text);
    auto c = static_cast<unsigned char>(text.front());
    if (size == 0) {
      append(to, replacement);
      size = 1;
    } else if (c == '"' || c == '\\') {
      to.push_back('\\');
      to.push_back(text.front());
    } else if (c < 0x20 || c == 0x7F) {
      fmt::format_to(std::back_inserter(to), "\\u{:04x}", c);
    } else {
      append(to, text.substr(0, size));
    }
    text.remove_prefix(size);
    written += size;
  }
}

void append_quoted(Buffer& to, std::string_view text) {
  to.push_back('"');
  append_escaped(to, text);
  to.push_back('"');
}

bool is_bare(std::string_view text) {
  if (text.empty() || text.size() > log_value_bytes_max) return false;
  for (char c : text) {
    if (c <= ' ' || c >= 0x7F || c == '"' || c == '\\' || c == '=') return false;
  }
  return true;
}

struct ValueWriter {
  Buffer& to;
  bool json;

  void operator()(std::string_view text) const {
    if (!json && is_bare(text)) return append(to, text);
    append_quoted(to, text);
  }
  void operator()(bool value) const { append(to, value ? "true" : "false"); }
  void operator()(double value) const {
    if (json && !std::isfinite(value)) return append(to, "null");
    fmt::format_to(std::back_inserter(to), "{}", value);
  }
  template <std::integral T>
  void operator()(T value) const {
    fmt::format_to(std::back_inserter(to), "{}", value);
  }
};

void format_json(Buffer& to, std::string_view time, LogLevel level, std::string_view module,
                 std::string_view message, std::initializer_list<LogField> fields) {
  fmt::format_to(std::back_inserter(to), R"({{"time":"{}","level":"{}","module":)", time,
                 name_of(level));
  append_quoted(to, module);
  append(to, ",\"message\":");
  append_quoted(to, message);
  for (const LogField& field : fields) {
    to.push_back(',');
    append_quoted(to, field.key);
    to.push_back(':');
    std::visit(ValueWriter{to, true}, field.value);
  }
  to.push_back('}');
}

void format_plain(Buffer& to, std::string_view time, LogLevel level, std::string_view module,
                  std::string_view message, std::initializer_list<LogField> fields) {
  fmt::format_to(std::back_inserter(to), "{} {:<5} {}: ", time, name_of(level), module);
  append_escaped(to, message);
  for (const LogField& field : fields) {
    to.push_back(' ');
    append_escaped(to, field.key);
    to.push_back('=');
    std::visit(ValueWriter{to, false}, field.value);
  }
}

void format_line(Buffer& to, bool json, std::int64_t unix_ns, LogLevel level,
                 std::string_view module, std::string_view message,
                 std::initializer_list<LogField> fields) {
  std::array<char, 24> time{};
  write_rfc3339_ms(unix_ns, time.data());
  std::string_view time_text(time.data(), time.size());
  if (json) {
    format_json(to, time_text, level, module, message, fields);
  } else {
    format_plain(to, time_text, level, module, message, fields);
  }
}

/// The library would make missing directories, and the file for everybody to read.
Result<void> make_log_file(const std::string& file) {
  if (file.empty()) return {};
  int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (descriptor >= 0) {
    ::close(descriptor);
    return {};
  }
  int number = errno;
  std::filesystem::path directory = std::filesystem::path(file).parent_path();
  std::error_code ignored;
  if (number == ENOENT && !directory.empty() && !std::filesystem::exists(directory, ignored)) {
    return fail(ErrorCode::not_found,
                fmt::format("log.file {}: there is no directory {}", file, directory.native()));
  }
  return std::unexpected(errno_error(fmt::format("log.file {} cannot be opened", file), number));
}

/// The one piece of process-wide state here: a log is where a process says things.
struct LogState {
  std::mutex mutex;
  std::atomic<LogLevel> lowest{LogLevel::info};  // enabled for some module
  std::atomic<bool> json{false};
  LogLevel general = LogLevel::info;
  std::map<std::string, LogLevel, std::less<>> by_module;
  std::shared_ptr<spdlog::logger> logger = make_logger("");

  static std::shared_ptr<spdlog::logger> make_logger(const std::string& file) {
    spdlog::sink_ptr sink;
    if (file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    }
    auto made = std::make_shared<spdlog::logger>("trialwire", std::move(sink));
    made->set_level(spdlog::level::trace);
    made->flush_on(spdlog::level::trace);  // a line that waits in a buffer is lost by a kill
    made->set_pattern("%v");
    made->set_error_handler([](const std::string&) {});  // a full disk loses the line
    return made;
  }

  void update_lowest() {
    LogLevel level = general;
    for (const auto& entry : by_module) level = std::min(level, entry.second);
    lowest.store(level, std::memory_order_relaxed);
  }

  /// Null when the line is not wanted.
  std::shared_ptr<spdlog::logger> wanted(LogLevel level, std::string_view module) {
    if (level < lowest.load(std::memory_order_relaxed) || level == LogLevel::off) return nullptr;
    std::lock_guard lock(mutex);
    auto own = by_module.find(module);
    return level >= (own == by_module.end() ? general : own->second) ? logger : nullptr;
  }
};

/// Never destroyed: threads may still log while the process ends.
LogState& state() {
  static auto* instance = new LogState;
  return *instance;
}

}  // namespace

std::string_view name_of(LogLevel level) noexcept {
  auto index = static_cast<std::size_t>(level);
  return index < level_names.size() ? level_names[index] : "?";
}

std::optional<LogLevel> log_level_of(std::string_view name) noexcept {
  const auto found = std::ranges::find(level_names, name);
  if (found == level_names.end()) return std::nullopt;
  return static_cast<LogLevel>(found - level_names.begin());
}

Result<void> configure_log(const LogOptions& options) {
  if (auto made = make_log_file(options.file); !made) return made;
  std::shared_ptr<spdlog::logger> made;
  try {
    made = LogState::make_logger(options.file);
  } catch (const std::exception& exception) {
    return fail(ErrorCode::io, fmt::format("log.file: {}", exception.what()));
  }
  LogState& log_state = state();
  std::lock_guard lock(log_state.mutex);
  log_state.logger = std::move(made);
  log_state.general = options.level;
  log_state.by_module.clear();
  log_state.json.store(options.json, std::memory_order_relaxed);
  log_state.update_lowest();
  return {};
}

void set_log_level(std::string_view module, LogLevel level) {
  LogState& log_state = state();
  std::lock_guard lock(log_state.mutex);
  if (module.empty()) {
    log_state.general = level;
    log_state.by_module.clear();
  } else {
    log_state.by_module.insert_or_assign(std::string(module), level);
  }
  log_state.update_lowest();
}

LogLevel log_level(std::string_view module) {
  LogState& log_state = state();
  std::lock_guard lock(log_state.mutex);
  const auto own = log_state.by_module.find(module);
  return own == log_state.by_module.end() ? log_state.general : own->second;
}

bool log_enabled(LogLevel level, std::string_view module) noexcept {
  try {
    return state().wanted(level, module) != nullptr;
  } catch (...) {
    return false;
  }
}

void flush_log() noexcept {
  try {
    LogState& log_state = state();
    std::lock_guard lock(log_state.mutex);
    log_state.logger->flush();
  } catch (...) {  // nowhere to say it
  }
}

void log(LogLevel level, std::string_view module, std::string_view message,
         std::initializer_list<LogField> fields) noexcept {
  try {
    LogState& log_state = state();
    auto logger = log_state.wanted(level, module);
    if (!logger) return;
    auto now = std::chrono::system_clock::now().time_since_epoch();
    Buffer line;
    format_line(line, log_state.json.load(std::memory_order_relaxed),
                std::chrono::duration_cast<std::chrono::nanoseconds>(now).count(), level, module,
                message, fields);
    logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  } catch (...) {  // a log line is never worth a request
  }
}

std::string format_log_line(const LogOptions& options, std::int64_t unix_ns, LogLevel level,
                            std::string_view module, std::string_view message,
                            std::initializer_list<LogField> fields) {
  Buffer line;
  format_line(line, options.json, unix_ns, level, module, message, fields);
  return fmt::to_string(line);
}

}  // namespace trialwire::telemetry
