// SPDX-License-Identifier: Apache-2.0
// Rows of a ListSelect as the JSON of a page, the same whatever database they come from. Made for
// one page, used by one thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "storage/page_cursor.hpp"
#include "storage/record_query.hpp"
#include "storage/sql/record_table.hpp"

namespace trialwire::storage {

/// The row that a driver is at. Columns are those of ListSelect, from 0. What is not NULL can be
/// asked for in the type of its column; texts are valid until the driver goes on.
class ListRow {
 public:
  virtual ~ListRow() = default;
  virtual bool is_null(int column) const = 0;
  virtual std::int64_t integer(int column) const = 0;
  virtual double real(int column) const = 0;
  virtual std::string_view text(int column) const = 0;
};

/// The key of one list's page cursors, of the database's own: the cursor of another list is none.
SipKey list_key(SipKey database_key, const ListShape& shape) noexcept;

/// Where the page begins; nothing: at the start. Errors: invalid_argument, for a limit out of range
/// and for a cursor that is not one of this list.
Result<std::optional<PagePosition>> page_begin(const ListShape& shape, const ListFilter& filter,
                                               SipKey database_key);

class PageWriter {
 public:
  /// A page ends after `filter.limit` items, or after the item that reaches `bytes_max`.
  PageWriter(const ListShape& shape, const ListFilter& filter, std::size_t bytes_max);

  /// False: the page is full; this row is the first of the next one, and no other is wanted.
  bool add(const ListRow& row);
  /// After the last row, or when `add` said false.
  ListPage finish(SipKey database_key);

 private:
  void append_item(const ListRow& row);

  const ListShape& shape_;
  std::vector<const RecordColumn*> fields_;
  std::uint32_t limit_;
  std::size_t bytes_max_;
  ListPage page_;
  PagePosition last_;
  bool more_ = false;
};

}  // namespace trialwire::storage
