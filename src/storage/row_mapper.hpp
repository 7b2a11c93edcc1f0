// SPDX-License-Identifier: Apache-2.0
// How a kind of record becomes a row. A capability implements it; each SQL sink binds what it
// gives, so that storage knows tables and no capability, and a capability no database.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

#include "journal/record.hpp"

namespace trialwire::storage {

/// One column's value: NULL, integer, real or text.
using Value = std::variant<std::monostate, std::int64_t, double, std::string_view>;

/// Where the rows of a kind go. Static. Every such table has, besides `columns`, those that the
/// sink fills from the record's attributes: see storage/sql/record_table.hpp.
struct RowTable {
  std::string_view name;
  std::string_view identities;  // the table that keeps an identity's row single
  std::span<const std::string_view> columns;
  std::string_view key;  // the column whose value orders records: patient, device or study
  std::span<const std::string_view> flags;  // names of the bits of RecordAttributes::flags
};

/// Bit of a row's `flags` set by the sink itself; the lower eight are RecordAttributes::flags.
constexpr std::int64_t flag_undecodable = 256;

/// Used by one sink's thread.
class RowMapper {
 public:
  virtual ~RowMapper() = default;
  virtual journal::RecordKind kind() const noexcept = 0;
  virtual const RowTable& table() const noexcept = 0;

  /// Fills `row`, one value for each of `columns`, all NULL before the call. Texts are valid until
  /// the next call. False: the bytes cannot be decoded; `row` then holds what is known without
  /// them, and the sink stores the bytes themselves with `flag_undecodable`.
  virtual bool map(const journal::Record& record, std::span<Value> row) = 0;
};

}  // namespace trialwire::storage
