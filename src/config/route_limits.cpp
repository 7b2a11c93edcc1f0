// SPDX-License-Identifier: Apache-2.0
#include "config/route_limits.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include "config/value.hpp"

namespace trialwire::config {
namespace {

constexpr std::size_t prefixes_max = 64;
constexpr std::size_t prefix_bytes_max = 128;
constexpr std::string_view map_form =
    "must be a map from a path's beginning to its limits, such as {/v1/vitals: {per_second: 50}}";

struct Limit {
  std::string_view name;
  Constraint constraint;
  Value (*get)(const RouteLimitSettings&);
  void (*set)(RouteLimitSettings&, const Value&);
};

template <auto Member>
Limit limit(std::string_view name, Constraint constraint) {
  using T = std::remove_reference_t<decltype(RouteLimitSettings{}.*Member)>;
  return {
      name, constraint, [](const RouteLimitSettings& limits) -> Value { return limits.*Member; },
      [](RouteLimitSettings& limits, const Value& value) { limits.*Member = std::get<T>(value); }};
}

const std::array<Limit, 5>& limits_known() {
  using R = RouteLimitSettings;
  static const std::array<Limit, 5> known{
      limit<&R::per_second>("per_second",
                            {.kind = Kind::integer, .minimum = 1, .maximum = 1'000'000}),
      limit<&R::burst>("burst", {.kind = Kind::integer, .minimum = 1, .maximum = 1'000'000}),
      limit<&R::concurrent>("concurrent",
                            {.kind = Kind::integer, .minimum = 1, .maximum = 10'000'000}),
      limit<&R::deadline>(
          "deadline", {.kind = Kind::duration, .minimum = 1'000'000, .maximum = 3'600'000'000'000}),
      limit<&R::body>("body", {.kind = Kind::bytes, .minimum = 1 << 10, .maximum = 256 << 20}),
  };
  return known;
}

/// "/", or segments of unreserved characters, each behind a slash.
bool is_prefix(std::string_view text) {
  if (text == "/") return true;
  if (text.size() > prefix_bytes_max || !text.starts_with('/') || text.ends_with('/')) return false;
  if (text.find("//") != std::string_view::npos) return false;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/-._~").find(c) != std::string_view::npos;
  });
}

using Error = std::unexpected<std::string>;

std::expected<void, std::string> read_limit(const YAML::Node& name, const YAML::Node& node,
                                            RouteLimitSettings& to, std::vector<bool>& seen) {
  const std::string text = name.IsScalar() ? name.Scalar() : "";
  const auto& known = limits_known();
  const auto found = std::ranges::find(known, text, &Limit::name);
  if (found == known.end()) {
    return Error("has limits per_second, burst, concurrent, deadline and body, and no other");
  }
  const auto place = static_cast<std::size_t>(found - known.begin());
  if (seen[place]) return Error(fmt::format("{}: is set twice", found->name));
  seen[place] = true;
  auto value = node.IsScalar() ? parse_value(found->constraint, node.Scalar())
                               : Error("must be " + expected_form(found->constraint));
  if (!value) return Error(fmt::format("{}: {}", found->name, value.error()));
  found->set(to, *value);
  return {};
}

std::expected<RouteLimitSettings, std::string> read_limits(const std::string& prefix,
                                                           const YAML::Node& node) {
  RouteLimitSettings limits{.prefix = prefix};
  auto wrong = [&](std::string_view what) { return Error(fmt::format("{}: {}", prefix, what)); };
  if (!node.IsMap() || node.size() == 0)
    return wrong("must be a map of limits, such as {body: 64KiB}");
  std::vector<bool> seen(limits_known().size());
  for (const auto& entry : node) {
    if (auto read = read_limit(entry.first, entry.second, limits, seen); !read) {
      return wrong(read.error());
    }
  }
  if (limits.burst > 0 && limits.per_second == 0) return wrong("burst: wants per_second beside it");
  if (limits.per_second > 0 && limits.burst == 0) limits.burst = RateSettings{}.burst;
  return limits;
}

std::expected<std::vector<RouteLimitSettings>, std::string> read_map(const YAML::Node& map) {
  std::vector<RouteLimitSettings> all;
  if (map.IsNull()) return all;
  if (!map.IsMap()) return Error(std::string(map_form));
  if (map.size() > prefixes_max)
    return Error(fmt::format("has more than {} prefixes", prefixes_max));
  for (const auto& entry : map) {
    const std::string prefix = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (!is_prefix(prefix)) {
      return Error(
          "a prefix is / or whole segments of a path, such as /v1/vitals, without a slash "
          "at its end");
    }
    if (std::ranges::find(all, prefix, &RouteLimitSettings::prefix) != all.end()) {
      return Error(fmt::format("{}: is there twice", prefix));
    }
    auto limits = read_limits(prefix, entry.second);
    if (!limits) return Error(std::move(limits.error()));
    all.push_back(std::move(*limits));
  }
  return all;
}

}  // namespace

std::expected<std::vector<RouteLimitSettings>, std::string> parse_route_limits(
    std::string_view yaml) {
  try {
    return read_map(YAML::Load(std::string(yaml)));
  } catch (const YAML::Exception&) {
    return Error(std::string(map_form));
  }
}

std::string format_route_limits(std::span<const RouteLimitSettings> limits) {
  std::string text;
  for (const RouteLimitSettings& one : limits) {
    std::string inner;
    for (const Limit& limit : limits_known()) {
      const Value value = limit.get(one);
      if (value == limit.get(RouteLimitSettings{})) continue;
      inner += fmt::format("{}{}: {}", inner.empty() ? "" : ", ", limit.name,
                           format_value(limit.constraint.kind, value));
    }
    text += fmt::format("{}{}: {{{}}}", text.empty() ? "" : ", ", one.prefix, inner);
  }
  return '{' + text + '}';
}

}  // namespace trialwire::config
