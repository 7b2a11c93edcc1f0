// SPDX-License-Identifier: Apache-2.0
#include "loadgen/load_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace trialwire::loadgen {
namespace {

constexpr unsigned connections_max = 1'000'000;
constexpr unsigned pipeline_max = 1024;
constexpr std::uint64_t in_flight_max = 1 << 24;
constexpr unsigned ndjson_max = 100'000;
// Generated records of one worker are numbered in so many.
constexpr std::uint64_t records_max = 10'000'000'000;
constexpr double rate_min = 0.001;
constexpr double rate_max = 1e7;

Result<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return fail(ErrorCode::invalid_argument, fmt::format("'{}' is not a port", text));
  }
  return port;
}

bool names_csv(std::string_view file) noexcept {
  const auto ends = [&file](std::string_view suffix) {
    if (file.size() < suffix.size()) return false;
    const auto same = [](char a, char b) { return (a | 0x20) == (b | 0x20); };
    return std::ranges::equal(file.substr(file.size() - suffix.size()), suffix, same);
  };
  return ends(".csv") || ends(".csv.gz");
}

/// How much at once, and how much in all.
std::string refused_amount(const LoadOptions& options) {
  if (options.connections == 0 || options.connections > connections_max) {
    return fmt::format("--connections must be from 1 to {}", connections_max);
  }
  if (options.pipeline == 0 || options.pipeline > pipeline_max) {
    return fmt::format("--pipeline must be from 1 to {}", pipeline_max);
  }
  if (std::uint64_t{options.connections} * options.pipeline > in_flight_max) {
    return fmt::format("--connections times --pipeline must be at most {}", in_flight_max);
  }
  if (options.ndjson > ndjson_max) return fmt::format("--ndjson must be at most {}", ndjson_max);
  if (options.count > records_max / std::max(options.ndjson, 1U)) {
    return fmt::format("--count must be from 1 to {}, the records of all bodies together",
                       records_max);
  }
  if (options.rate != 0 && !(options.rate >= rate_min && options.rate <= rate_max)) {
    return fmt::format("--rate must be from {} to {:.0f} a second, or 0", rate_min, rate_max);
  }
  return {};
}

}  // namespace

Result<void> apply_url(std::string_view url, LoadOptions& options) {
  constexpr std::string_view plain = "http://", secure = "https://";
  options.tls = url.starts_with(secure);
  if (options.tls) url.remove_prefix(secure.size());
  if (url.starts_with(plain)) url.remove_prefix(plain.size());
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
  if (auto refused = refused_amount(options); !refused.empty()) return refuse(std::move(refused));
  if (options.threads == 0) return refuse("--threads must be at least 1");
  if (options.threads > options.connections || options.threads > 99) {
    return refuse("--threads must not exceed --connections, nor 99");
  }
  if (options.count > 0 && options.count < options.threads) {
    return refuse("--count must not be smaller than --threads");
  }
  if (options.count == 0 && options.duration.count() == 0) {
    return refuse("--duration must be longer than 0");
  }
  if (options.warmup.count() > 0 && (options.count > 0 || options.once)) {
    return refuse("--warmup needs --duration: of a number of requests each one is measured");
  }
  if (!options.tls && (options.insecure || !options.authorities.empty())) {
    return refuse("--cacert and --insecure need an https:// URL");
  }
  if (options.timeout.count() == 0) return refuse("--timeout must be longer than 0");
  if (!options.path.empty() && !options.path.starts_with('/'))
    return refuse("--path must start with /");
  if (options.path.find_first_of(" \r\n") != options.path.npos) {
    return refuse("--path must not hold spaces or line ends");
  }
  if (!options.mapping.empty() && options.file.empty()) return refuse("--map needs --file");
  if (options.mapping.empty() && names_csv(options.file)) {
    return refuse("a CSV --file needs --map, which column becomes which field: see load --help");
  }
  return {};
}

}  // namespace trialwire::loadgen
