// SPDX-License-Identifier: Apache-2.0
// How a record becomes an event: its key and its JSON. Made of the kind's RowMapper and its table,
// so that an event has the fields that a list's item has. One a sink lane, used by its thread; once
// warm no event allocates but for what the caller's text needs.
//
//   {"recordId":"…","sequence":812,"journalId":"…","receivedAt":"…","patientId":"P-1",…}
//
// A record whose bytes cannot be decoded has no key, and these four members and
// "flags":["undecodable"] alone.
#pragma once
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "storage/row_mapper.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage {

class EventMapper {
 public:
  /// The mapper's table is one of record_tables().
  explicit EventMapper(std::unique_ptr<RowMapper> rows);

  journal::RecordKind kind() const noexcept { return rows_->kind(); }

  /// Decodes the record, which must stay as it is while it is asked about. False: it cannot be.
  bool read(const journal::Record& record);

  /// Of the record read last: id of its patient, device or study; empty: none is known. Valid until
  /// the next `read`.
  std::string_view key() const noexcept;
  /// Of the record read last.
  void append_json(std::string& to) const;

 private:
  std::unique_ptr<RowMapper> rows_;
  std::vector<const RecordColumn*> columns_;  // of the row's values
  std::vector<Value> row_;
  std::size_t key_column_ = 0;
  const journal::Record* record_ = nullptr;
  bool decoded_ = false;
};

}  // namespace trialwire::storage
