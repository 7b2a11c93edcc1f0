// SPDX-License-Identifier: Apache-2.0
// A prepared statement whose rows are read one by one, in constant memory. Belongs to its
// connection's thread and must die before it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "storage/row_mapper.hpp"
#include "storage/sql/mysql/connection.hpp"

struct st_mysql_stmt;
struct st_mysql_bind;

namespace trialwire::storage::mysql {

class Statement {
 public:
  Statement(Link& link, st_mysql_stmt* handle);
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
  ~Statement();

  /// One value for each placeholder, borrowed for the call. Errors as error_number.hpp says.
  Result<void> execute(std::span<const Value> parameters, std::string_view doing,
                       const Patience& patience);
  /// Once for each of `rows` values that every bind has (its `buffer` and `u.indicator` are
  /// arrays), in one exchange; how many rows that changed. Only where ServerFacts::takes_arrays.
  Result<std::uint64_t> execute_rows(std::span<st_mysql_bind> binds, std::size_t rows,
                                     std::string_view doing, const Patience& patience);
  /// The next row; false: there is none.
  Result<bool> fetch(std::string_view doing, const Patience& patience);
  /// Reads over what is left of the rows; the statement may be executed again.
  Result<void> finish(std::string_view doing, const Patience& patience);

  // Of the row at hand, by column from 0; in the type that the column has. Texts are valid until
  // the next call.
  bool is_null(int column) const noexcept;
  std::int64_t integer(int column) const noexcept;
  double real(int column) const noexcept;
  std::string_view text(int column) const noexcept;

 private:
  struct Close {
    void operator()(st_mysql_stmt* handle) const noexcept;
  };
  struct Columns;

  Result<void> bind_columns();
  Result<void> take_whole_texts(std::string_view doing);
  Error error(std::string_view doing);

  Link* link_;
  std::unique_ptr<st_mysql_stmt, Close> handle_;
  std::unique_ptr<Columns> columns_;
};

}  // namespace trialwire::storage::mysql
