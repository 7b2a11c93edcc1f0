// SPDX-License-Identifier: Apache-2.0
#include "storage/item_json.hpp"

#include <cstddef>
#include <iterator>
#include <variant>

#include <fmt/format.h>

#include "storage/json_text.hpp"

namespace trialwire::storage {
namespace {

void begin_member(std::string& to, std::string_view name) {
  if (!to.empty() && to.back() != '{') to += ',';
  to.append("\"").append(name).append("\":");
}

}  // namespace

void append_member(std::string& to, const RecordColumn& column, const Value& value) {
  if (column.field.empty() || std::holds_alternative<std::monostate>(value)) return;
  begin_member(to, column.field);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    append_number(to, *integer);
  } else if (const auto* real = std::get_if<double>(&value)) {
    fmt::format_to(std::back_inserter(to), "{}", *real);
  } else if (column.type == ColumnType::json) {
    to += std::get<std::string_view>(value);
  } else {
    append_json_string(to, std::get<std::string_view>(value));
  }
}

void append_flags(std::string& to, std::int64_t flags, std::span<const std::string_view> names) {
  bool first = true;
  auto name = [&](std::string_view text) {
    if (first) begin_member(to, "flags");
    to += first ? '[' : ',';
    append_json_string(to, text);
    first = false;
  };
  for (std::size_t bit = 0; bit < names.size(); ++bit) {
    if (((flags >> bit) & 1) != 0 && !names[bit].empty()) name(names[bit]);
  }
  if ((flags & flag_undecodable) != 0) name("undecodable");
  if (!first) to += ']';
}

}  // namespace trialwire::storage
