// SPDX-License-Identifier: Apache-2.0
#include "loadgen/load_options.hpp"

#include <fmt/format.h>

#include <charconv>

namespace trialwire::loadgen {
namespace {

constexpr unsigned pipeline_max = 1024;
constexpr unsigned ndjson_max = 100'000;

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a port", text));
  }
  return port;
}

}  // namespace

Result<void> apply_url(std::string_view url, LoadOptions& options) {
  constexpr std::string_view scheme = "http://";
  if (url.starts_with("https://")) {
    return fail(ErrorCode::invalid_argument, "https is not supported: give an http:// URL");
  }
  if (url.starts_with(scheme)) url.remove_prefix(scheme.size());
  const auto slash = std::min(url.find('/'), url.size());
  auto authority = url.substr(0, slash);
  if (slash < url.size()) options.path = url.substr(slash);
  std::string_view port;
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == authority.npos) {
      return fail(ErrorCode::invalid_argument, "a [ in the URL is not closed");
    }
    options.host = authority.substr(1, close - 1);
    authority.remove_prefix(close + 1);
    if (authority.starts_with(':')) port = authority.substr(1);
  } else {
    const auto colon = std::min(authority.find(':'), authority.size());
    options.host = authority.substr(0, colon);
    if (colon < authority.size()) port = authority.substr(colon + 1);
  }
  if (options.host.empty()) return fail(ErrorCode::invalid_argument, "the URL names no host");
  if (port.data() != nullptr) {
    auto parsed = parse_port(port);
    if (!parsed) return std::unexpected(parsed.error());
    options.port = *parsed;
  }
  return {};
}

Result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  double nanoseconds = -1;
  if (unit == "us") nanoseconds = number * 1e3;
  if (unit == "ms") nanoseconds = number * 1e6;
  if (unit == "s" || unit.empty()) nanoseconds = number * 1e9;
  if (unit == "m") nanoseconds = number * 60e9;
  if (unit == "h") nanoseconds = number * 3600e9;
  constexpr double longest = 30 * 24 * 3600e9;
  if (error != std::errc() || !(nanoseconds >= 0 && nanoseconds <= longest)) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("'{}' is not a duration like 500ms, 30s or 2m", text));
  }
  return std::chrono::nanoseconds(static_cast<std::int64_t>(nanoseconds));
}

Result<void> check_options(const LoadOptions& options) {
  const auto refuse = [](std::string text) -> Result<void> {
    return fail(ErrorCode::invalid_argument, std::move(text));
  };
  if (options.connections == 0) return refuse("--connections must be at least 1");
  if (options.threads == 0) return refuse("--threads must be at least 1");
  if (options.threads > options.connections || options.threads > 99) {
    return refuse("--threads must not exceed --connections, nor 99");
  }
  if (options.count > 0 && options.count < options.threads) {
    return refuse("--count must not be smaller than --threads");
  }
  if (options.pipeline == 0 || options.pipeline > pipeline_max) {
    return refuse(fmt::format("--pipeline must be from 1 to {}", pipeline_max));
  }
  if (options.ndjson > ndjson_max) {
    return refuse(fmt::format("--ndjson must be at most {}", ndjson_max));
  }
  if (!(options.rate >= 0)) return refuse("--rate must not be negative");
  if (options.count == 0 && options.duration.count() == 0) {
    return refuse("--duration must be longer than 0");
  }
  if (options.warmup.count() > 0 && (options.count > 0 || options.once)) {
    return refuse("--warmup needs --duration: of a number of requests each one is measured");
  }
  if (options.timeout.count() == 0) return refuse("--timeout must be longer than 0");
  if (!options.path.empty() && !options.path.starts_with('/'))
    return refuse("--path must start with /");
  if (options.path.find_first_of(" \r\n") != options.path.npos) {
    return refuse("--path must not hold spaces or line ends");
  }
  if (!options.mapping.empty() && options.file.empty()) return refuse("--map needs --file");
  return {};
}

}  // namespace trialwire::loadgen
