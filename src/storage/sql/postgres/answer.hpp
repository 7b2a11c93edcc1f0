// SPDX-License-Identifier: Apache-2.0
// One result of one statement, as libpq hands it over. Owned; of one thread. Texts are valid as
// long as it is.
#pragma once
#include <cstdint>
#include <memory>
#include <string_view>

struct pg_result;

namespace trialwire::storage::postgres {

class Answer {
 public:
  explicit Answer(pg_result* result) noexcept : result_(result) {}

  bool wants_copy() const noexcept;  // the server waits for the rows of a COPY
  bool has_row() const noexcept { return rows() > 0; }
  int rows() const noexcept;
  int columns() const noexcept;
  bool is_null(int row, int column) const noexcept;
  /// As the server writes it; empty for NULL.
  std::string_view text(int row, int column) const noexcept;
  std::int64_t integer(int row, int column) const noexcept;
  /// Rows that it inserted, changed or copied.
  std::uint64_t affected() const noexcept;
  /// "COMMIT"
  std::string_view command() const noexcept;
  pg_result* get() const noexcept { return result_.get(); }

 private:
  struct Clear {
    void operator()(pg_result* result) const noexcept;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

}  // namespace trialwire::storage::postgres
