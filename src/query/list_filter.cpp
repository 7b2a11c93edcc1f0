// SPDX-License-Identifier: Apache-2.0
#include "query/list_filter.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "base/check.hpp"
#include "base/rfc3339.hpp"
#include "ingest/json_text.hpp"
#include "net/http.hpp"
#include "storage/page_cursor.hpp"

namespace trialwire::query {
namespace {

using ingest::FieldErrors;
using ingest::Rule;
using storage::ListFilter;
using storage::ListParameter;
using storage::ListShape;

/// Of every list, after the shape's.
constexpr std::array<std::string_view, 4> common_names{"since", "until", "limit", "cursor"};

std::vector<std::string_view> names_of(const ListShape& shape) {
  std::vector<std::string_view> names;
  for (const ListParameter& parameter : shape.parameters) names.push_back(parameter.name);
  names.insert(names.end(), common_names.begin(), common_names.end());
  return names;
}

void parse_equal(const ListParameter& parameter, std::string value, FieldErrors& errors,
                 ListFilter& filter) {
  if (value.find('\0') != std::string::npos || !simdjson::validate_utf8(value)) {
    // No database would take it as text.
    errors.add(parameter.name, Rule::encoding, "must be UTF-8 without U+0000");
  } else if (value.empty() || ingest::count_characters(value) > parameter.characters_max) {
    errors.add(parameter.name, Rule::length, "must be 1 to {} characters",
               parameter.characters_max);
  } else {
    filter.equal.push_back({parameter.column, std::move(value)});
  }
}

void parse_time(std::string_view name, std::string value, FieldErrors& errors,
                std::optional<std::int64_t>& to) {
  // "…T08:15:30+01:00" in a query means a space to those who take the standard by its word, and a
  // plus to those who type it. No RFC 3339 time of ours has a space.
  std::ranges::replace(value, ' ', '+');
  auto instant = parse_rfc3339(value);
  if (!instant && rfc3339_year_out_of_range(value)) {
    errors.add(name, Rule::range, "must be in the years {} to {}", rfc3339_year_min,
               rfc3339_year_max);
  } else if (!instant) {
    errors.add(name, Rule::format, "must be an RFC 3339 time with offset");
  } else {
    to = instant->unix_ns;
  }
}

void parse_limit(std::string_view value, FieldErrors& errors, std::uint32_t& to) {
  std::uint32_t limit = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), limit);
  if (error != std::errc() || end != value.data() + value.size() || limit < 1 ||
      limit > storage::list_limit_max) {
    errors.add("limit", Rule::range, "must be an integer from 1 to {}", storage::list_limit_max);
  } else {
    to = limit;
  }
}

void parse_common(std::string_view name, std::string value, FieldErrors& errors,
                  ListFilter& filter) {
  if (name == "since") {
    parse_time(name, std::move(value), errors, filter.since_ns);
  } else if (name == "until") {
    parse_time(name, std::move(value), errors, filter.until_ns);
  } else if (name == "limit") {
    parse_limit(value, errors, filter.limit);
  } else if (!storage::has_page_cursor_form(value)) {
    errors.add(name, Rule::format, "is not the `next` of a page of this list");
  } else {
    filter.cursor = std::move(value);
  }
}

}  // namespace

ListFilter parse_list_filter(std::string_view text, const ListShape& shape, FieldErrors& errors) {
  const auto names = names_of(shape);
  ListFilter filter;
  filter.limit = list_limit_default;
  std::uint64_t seen = 0;  // bits by place in `names`
  TW_CHECK(names.size() <= 64);
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    if (pair.empty()) continue;
    std::size_t equals = std::min(pair.find('='), pair.size());
    auto name = net::url_decode(pair.substr(0, equals), true);
    auto value = net::url_decode(pair.substr(std::min(equals + 1, pair.size())), true);
    auto known = name ? std::ranges::find(names, *name) : names.end();
    if (known == names.end()) {
      // Not repeated: it may be anything.
      errors.add("query", Rule::unknown, "has a parameter that is not one of {}",
                 fmt::join(names, ", "));
      continue;
    }
    auto place = static_cast<std::size_t>(known - names.begin());
    if (!value) {
      errors.add(*known, Rule::encoding, "has a malformed percent-encoding");
    } else if (((seen >> place) & 1) != 0) {
      errors.add(*known, Rule::duplicate, "may be given once");
    } else if (place < shape.parameters.size()) {
      parse_equal(shape.parameters[place], std::move(*value), errors, filter);
    } else {
      parse_common(*known, std::move(*value), errors, filter);
    }
    seen |= std::uint64_t{1} << place;
  }
  if (filter.since_ns && filter.until_ns && *filter.since_ns >= *filter.until_ns) {
    errors.add("until", Rule::range, "must be after since");
  }
  return filter;
}

}  // namespace trialwire::query
