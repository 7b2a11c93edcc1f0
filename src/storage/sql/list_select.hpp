// SPDX-License-Identifier: Apache-2.0
// The statement of one page of a list, in any of the databases. It cannot be built without a
// principal, whose limits are conditions of the statement like any filter; what a client sends is
// bound, never part of the text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/page_cursor.hpp"
#include "storage/record_query.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/dialect.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage {

/// Columns of the result, from 0; those of `list_fields` follow in their order.
enum ListColumn : int {
  list_row_id,
  list_timestamp_ns,
  list_record_id,
  list_sequence,
  list_received_at,
  list_flags,
  list_first_field,
};

/// The table's columns that are members of an item, in order; what they are called there and how
/// they are written is with each of them.
std::vector<const RecordColumn*> list_fields(const RecordTable& table);

/// Of few shapes: the text is the key under which a prepared statement may be kept.
class ListSelect {
 public:
  /// Up to filter.limit + 1 rows after `after`: the one too many says that there is a next page.
  ListSelect(Dialect dialect, const Principal& principal, const ListShape& shape,
             const ListFilter& filter, const std::optional<PagePosition>& after);
  ListSelect(const ListSelect&) = delete;
  ListSelect& operator=(const ListSelect&) = delete;

  /// Placeholders: ?1, ?2 (SQLite), $1, $2 (PostgreSQL), ? (MySQL).
  const std::string& sql() const noexcept { return sql_; }
  /// One for each placeholder, in order: integers and texts. They borrow from this object, the
  /// principal and the filter. One of several texts is bound as a JSON array in SQLite, as an
  /// array's text in PostgreSQL ({"a","b"}), as so many texts in MySQL.
  const std::vector<Value>& parameters() const noexcept { return parameters_; }

 private:
  struct Equality {
    std::string_view column;
    std::string_view value;
  };

  void add_equalities(const std::vector<Equality>& equalities);
  void one_of(std::string_view column, const std::vector<std::string>& values);
  void add_restrictions(const Principal& principal);
  void add_period(const ListFilter& filter, bool after_cursor);
  std::string pages(const std::string& select, const std::optional<PagePosition>& after,
                    std::int64_t limit);
  void add(std::string_view condition);
  std::string name(std::string_view column) const { return quoted(dialect_, column); }
  bool has(std::string_view column) const noexcept;
  /// Its place in the text while that is built: "?3".
  std::string bind(Value value);
  void number_placeholders(const std::string& text);

  Dialect dialect_;
  const RecordTable& table_;
  std::string sql_;
  std::string conditions_;
  std::vector<Value> bound_;
  std::vector<Value> parameters_;
  std::deque<std::string> lists_;  // what bound texts refer to; they must not move
};

}  // namespace trialwire::storage
