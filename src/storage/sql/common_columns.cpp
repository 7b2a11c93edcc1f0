// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/common_columns.hpp"

#include <algorithm>

#include "base/check.hpp"

namespace trialwire::storage {
namespace {

/// In this order by `append_common_columns`.
constexpr std::array<std::string_view, 12> appended{
    "record_id", "journal_id",    "sequence",         "received_at",      "flags",    "principal",
    "origin",    "submission_id", "submission_index", "submission_count", "original", "identity"};

}  // namespace

const RecordTable& table_of(const RowMapper& mapper) {
  const RecordTable* table = find_record_table(mapper.table().name);
  TW_CHECK(table != nullptr);
  TW_CHECK(std::ranges::equal(common_columns(), appended, {}, &RecordColumn::name));
  TW_CHECK(std::ranges::equal(table->columns, mapper.table().columns, {}, &RecordColumn::name));
  return *table;
}

std::vector<RecordColumn> all_columns(const RecordTable& table) {
  std::vector<RecordColumn> columns(common_columns().begin(), common_columns().end());
  columns.insert(columns.end(), table.columns.begin(), table.columns.end());
  return columns;
}

}  // namespace trialwire::storage
