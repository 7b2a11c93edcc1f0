// SPDX-License-Identifier: Apache-2.0
#include "config/value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/check.hpp"
#include "config/address.hpp"
#include "config/route_limits.hpp"

namespace trialwire::config {
namespace {

constexpr std::size_t text_bytes_max = 4096;

struct Unit {
  std::string_view name;
  std::uint64_t size;
};

constexpr std::array<Unit, 10> byte_units{{
    {"TiB", 1ULL << 40},
    {"GiB", 1ULL << 30},
    {"MiB", 1ULL << 20},
    {"KiB", 1ULL << 10},
    {"TB", 1'000'000'000'000},
    {"GB", 1'000'000'000},
    {"MB", 1'000'000},
    {"KB", 1'000},
    {"kB", 1'000},
    {"B", 1},
}};

constexpr std::uint64_t second_ns = 1'000'000'000;
constexpr std::array<Unit, 8> duration_units{{
    {"y", 365 * 86'400 * second_ns},
    {"d", 86'400 * second_ns},
    {"h", 3'600 * second_ns},
    {"min", 60 * second_ns},
    {"s", second_ns},
    {"ms", 1'000'000},
    {"us", 1'000},
    {"ns", 1},
}};

std::unexpected<std::string> wants(const Constraint& constraint) {
  return std::unexpected("must be " + expected_form(constraint));
}

/// Number and unit, "5.5s". A bare zero needs no unit. Nothing when malformed or beyond 64 bits.
std::optional<std::uint64_t> parse_scaled(std::string_view text, std::span<const Unit> units) {
  double number = 0;
  auto [stop, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || text.starts_with('-') || !std::isfinite(number)) return std::nullopt;
  std::string_view unit = text.substr(static_cast<std::size_t>(stop - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  if (unit.empty() && number == 0) return 0;
  auto found = std::ranges::find(units, unit, &Unit::name);
  if (found == units.end()) return std::nullopt;
  double scaled = number * static_cast<double>(found->size);
  if (scaled >= 9.2e18) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(scaled));
}

std::string format_scaled(std::uint64_t value, std::span<const Unit> units) {
  for (const Unit& unit : units) {
    // 24h is how a day is said; longer times are days.
    bool day = unit.name == "d" && value < 2 * unit.size;
    if (value >= unit.size && value % unit.size == 0 && !day) {
      return fmt::format("{}{}", value / unit.size, unit.name);
    }
  }
  return "0";
}

std::string format_bytes(std::uint64_t value) {
  static constexpr std::array<Unit, 5> binary{{{"TiB", 1ULL << 40},
                                               {"GiB", 1ULL << 30},
                                               {"MiB", 1ULL << 20},
                                               {"KiB", 1ULL << 10},
                                               {"B", 1}}};
  return format_scaled(value, binary);
}

std::string in_unit(Kind kind, std::uint64_t value) {
  switch (kind) {
    case Kind::bytes:
      return format_bytes(value);
    case Kind::duration:
      return format_scaled(value, duration_units);
    case Kind::percent:
      return fmt::format("{}%", value);
    default:
      return fmt::format("{}", value);
  }
}

std::string range_text(const Constraint& constraint) {
  if (constraint.maximum == UINT64_MAX) {
    return constraint.minimum == 0 ? ""
                                   : ", at least " + in_unit(constraint.kind, constraint.minimum);
  }
  return fmt::format(", {} to {}", in_unit(constraint.kind, constraint.minimum),
                     in_unit(constraint.kind, constraint.maximum));
}

std::expected<Value, std::string> parse_integer(const Constraint& constraint,
                                                std::string_view text) {
  std::uint64_t number = 0;
  auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || stop != text.data() + text.size()) return wants(constraint);
  if (number < constraint.minimum || number > constraint.maximum) return wants(constraint);
  return number;
}

std::expected<Value, std::string> parse_percent(const Constraint& constraint,
                                                std::string_view text) {
  double number = 0;
  auto [stop, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  std::string_view rest = text.substr(static_cast<std::size_t>(stop - text.data()));
  if (error != std::errc{} || rest != "%" || !std::isfinite(number)) return wants(constraint);
  if (number < static_cast<double>(constraint.minimum) ||
      number > static_cast<double>(constraint.maximum)) {
    return wants(constraint);
  }
  return number;
}

std::expected<Value, std::string> parse_text(const Constraint& constraint, std::string_view text) {
  bool control = std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (control || text.size() > text_bytes_max) return wants(constraint);
  if (text.size() < constraint.minimum) return wants(constraint);
  return std::string(text);
}

std::expected<Value, std::string> parse_texts(const Constraint& constraint,
                                              const std::vector<std::string>& items) {
  for (auto item = items.begin(); item != items.end(); ++item) {
    auto text = parse_text(constraint, *item);
    bool odd = item->empty() || item->find_first_of(", ") != std::string::npos;
    if (!text || odd || std::find(items.begin(), item, *item) != item) return wants(constraint);
  }
  return items;
}

std::string quote(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

bool is_secret_parameter(std::string_view name) {
  static constexpr std::array<std::string_view, 6> words{"password", "passwd", "secret",
                                                         "token",    "key",    "pwd"};
  return std::ranges::any_of(words, [name](std::string_view word) {
    auto same = [](char a, char b) { return (a | 0x20) == b; };
    return !std::ranges::search(name, word, same).empty();
  });
}

std::string mask_query(std::string_view query) {
  std::string masked;
  while (!query.empty()) {
    std::size_t end = std::min(query.find('&'), query.size());
    std::string_view pair = query.substr(0, end);
    std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && is_secret_parameter(pair.substr(0, equals))) {
      masked += pair.substr(0, equals + 1);
      masked += "***";
    } else {
      masked += pair;
    }
    query.remove_prefix(end);
    if (!query.empty()) {
      masked += '&';
      query.remove_prefix(1);
    }
  }
  return masked;
}

}  // namespace

std::string expected_form(const Constraint& constraint) {
  switch (constraint.kind) {
    case Kind::boolean:
      return "true or false";
    case Kind::integer:
      return "a whole number" + range_text(constraint);
    case Kind::bytes:
      return "a size such as 64KiB, 1MiB or 2GB" + range_text(constraint);
    case Kind::duration:
      return "a duration such as 500us, 50ms, 5.5s, 10min, 24h, 7d or 1y" + range_text(constraint);
    case Kind::percent:
      return "a percentage such as 90%" + range_text(constraint);
    case Kind::choice:
      return fmt::format("one of {}", fmt::join(constraint.choices, ", "));
    case Kind::text:
      return constraint.minimum == 0 ? "text of at most 4096 bytes on one line"
                                     : "text of 1 to 4096 bytes on one line";
    case Kind::choice_list:
      return fmt::format("a list, each once, of {}", fmt::join(constraint.choices, ", "));
    case Kind::text_list:
      return "a list of texts, each once, without commas and spaces";
    case Kind::listen:
      return "an IP address and a port such as 127.0.0.1:8080 or [::1]:0, or empty for none";
    case Kind::url:
      return constraint.minimum > 0 ? "a URL such as sqlite:data/trialwire.db"
                                    : "a URL such as file:data/archive, or empty for none";
    case Kind::routes:
      return "a map from a path's beginning to its limits, such as {/v1/vitals: {per_second: 50}}";
  }
  return {};
}

std::expected<Value, std::string> parse_value(const Constraint& constraint, std::string_view text) {
  switch (constraint.kind) {
    case Kind::boolean:
      if (text == "true") return true;
      if (text == "false") return false;
      return wants(constraint);
    case Kind::integer:
      return parse_integer(constraint, text);
    case Kind::bytes:
    case Kind::duration: {
      bool bytes = constraint.kind == Kind::bytes;
      auto number = bytes ? parse_scaled(text, byte_units) : parse_scaled(text, duration_units);
      if (!number || *number < constraint.minimum || *number > constraint.maximum) {
        return wants(constraint);
      }
      if (bytes) return *number;
      return std::chrono::nanoseconds(*number);
    }
    case Kind::percent:
      return parse_percent(constraint, text);
    case Kind::choice:
      if (std::ranges::find(constraint.choices, text) == constraint.choices.end()) {
        return wants(constraint);
      }
      return std::string(text);
    case Kind::listen:
      if (!text.empty() && !parse_listen_address(text)) return wants(constraint);
      return std::string(text);
    case Kind::url:
      if (text.empty() && constraint.minimum == 0) return std::string();
      if (text.find(':') == std::string_view::npos) return wants(constraint);
      return parse_text(constraint, text);
    case Kind::text:
      return parse_text(constraint, text);
    case Kind::routes: {
      auto limits = parse_route_limits(text);
      if (!limits) return std::unexpected(std::move(limits.error()));
      return format_route_limits(*limits);
    }
    case Kind::choice_list:
    case Kind::text_list:
      return wants(constraint);
  }
  return wants(constraint);
}

std::expected<Value, std::string> parse_list(const Constraint& constraint,
                                             const std::vector<std::string>& items) {
  if (constraint.kind == Kind::text_list) return parse_texts(constraint, items);
  TW_CHECK(constraint.kind == Kind::choice_list);
  if (items.empty()) return wants(constraint);
  for (auto item = items.begin(); item != items.end(); ++item) {
    bool known = std::ranges::find(constraint.choices, *item) != constraint.choices.end();
    if (!known || std::find(items.begin(), item, *item) != item) return wants(constraint);
  }
  return items;
}

std::string format_value(Kind kind, const Value& value) {
  switch (kind) {
    case Kind::boolean:
      return std::get<bool>(value) ? "true" : "false";
    case Kind::integer:
      return fmt::format("{}", std::get<std::uint64_t>(value));
    case Kind::bytes:
      return format_bytes(std::get<std::uint64_t>(value));
    case Kind::duration: {
      auto ns = std::get<std::chrono::nanoseconds>(value).count();
      return format_scaled(static_cast<std::uint64_t>(ns), duration_units);
    }
    case Kind::percent:
      return fmt::format("{}%", std::get<double>(value));
    case Kind::choice:
    case Kind::routes:
      return std::get<std::string>(value);
    case Kind::choice_list:
      return fmt::format("[{}]", fmt::join(std::get<std::vector<std::string>>(value), ", "));
    case Kind::text_list: {
      std::string items;
      for (const std::string& item : std::get<std::vector<std::string>>(value)) {
        items += (items.empty() ? "" : ", ") + quote(item);
      }
      return fmt::format("[{}]", items);
    }
    case Kind::text:
    case Kind::listen:
    case Kind::url:
      return quote(std::get<std::string>(value));
  }
  return {};
}

std::string mask_url(std::string_view url) {
  std::string masked;
  std::size_t authority = url.find("://");
  if (authority != std::string_view::npos) {
    authority += 3;
    std::size_t authority_end = std::min(url.find_first_of("/?#", authority), url.size());
    std::size_t at = url.substr(0, authority_end).rfind('@');
    if (at != std::string_view::npos && at >= authority) {
      std::size_t colon = url.find(':', authority);
      if (colon < at) {
        masked = std::string(url.substr(0, colon + 1)) + "***";
        url.remove_prefix(at);
      }
    }
  }
  std::size_t query = url.find('?');
  if (query == std::string_view::npos) return masked + std::string(url);
  return masked + std::string(url.substr(0, query + 1)) + mask_query(url.substr(query + 1));
}

}  // namespace trialwire::config
