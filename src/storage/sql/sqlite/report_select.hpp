// SPDX-License-Identifier: Apache-2.0
// The statement of one page of reports. It cannot be built without a principal, whose limits are
// conditions of the statement like any filter; what a client sends is bound, never part of the
// text.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "storage/page_cursor.hpp"
#include "storage/report_query.hpp"
#include "storage/row_mapper.hpp"

namespace trialwire::storage::sqlite {

/// Columns of the result, in order.
enum ReportColumn : int {
  report_row_id,
  report_record_id,
  report_sequence,
  report_received_at,
  report_flags,
  report_patient_id,
  report_trial_id,
  report_site_id,
  report_report_id,
  report_timestamp,
  report_timestamp_ns,
  report_qol_score,
  report_comments,
  report_instrument,
  report_instrument_version,
  report_visit_id,
  report_answers,
};

/// Of few shapes: the text is the key under which the prepared statement is kept.
class ReportSelect {
 public:
  /// Up to filter.limit + 1 rows after `after`: the one too many says that there is a next page.
  ReportSelect(const Principal& principal, const ReportFilter& filter,
               const std::optional<PagePosition>& after);

  const std::string& sql() const noexcept { return sql_; }
  /// In order; borrows from this object, the principal and the filter.
  std::vector<Value> parameters() const;

 private:
  // One of several values: a JSON array, by index into lists_ (whose texts move while it grows).
  struct List {
    std::size_t index;
  };
  using Bound = std::variant<std::int64_t, std::string_view, List>;

  void restrict_to(const Principal& principal);
  void equal(std::string_view column, std::string_view value);
  void one_of(std::string_view column, const std::vector<std::string>& values);
  void add(std::string_view condition);
  /// Its place in the text: "?3".
  std::string bind(Bound value);

  std::string sql_;
  std::string conditions_;
  bool sought_ = false;  // an index is chosen by an equality
  std::vector<Bound> bound_;
  std::vector<std::string> lists_;
};

}  // namespace trialwire::storage::sqlite
