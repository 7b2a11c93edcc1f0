// SPDX-License-Identifier: Apache-2.0
// A record as JSON, the same in lists (an item) and in events (a value): members of its table's
// columns under the contract's names. Appended to what is being written; allocates nothing else.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "storage/row_mapper.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage {

/// `"name":value` and a comma in front of it, unless `to` ends with the object's brace. Nothing for
/// NULL, nor for a column without a field. JSON goes as it is stored; a number as the shortest text
/// that reads back as the same.
void append_member(std::string& to, const RecordColumn& column, const Value& value);

/// `"flags":["timestamp_in_past",…]` likewise; nothing when no bit is set. `names` by bit.
void append_flags(std::string& to, std::int64_t flags, std::span<const std::string_view> names);

}  // namespace trialwire::storage
