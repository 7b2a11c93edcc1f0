// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/sqlite/report_select.hpp"

#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "storage/json_text.hpp"

namespace trialwire::storage::sqlite {
namespace {

constexpr std::string_view select_clause =
    "SELECT id, record_id, sequence, received_at, flags, patient_id, trial_id, site_id, report_id, "
    "timestamp, timestamp_ns, qol_score, comments, instrument, instrument_version, visit_id, "
    "answers FROM epro_reports";

}  // namespace

ReportSelect::ReportSelect(const Principal& principal, const ReportFilter& filter,
                           const std::optional<PagePosition>& after) {
  // The narrowest first: the first equality chooses the index. Each index is in the order of the
  // page, so that nothing is sorted and a page costs what it holds.
  if (filter.patient_id) equal("patient_id", *filter.patient_id);
  restrict_to(principal);
  if (filter.trial_id) equal("trial_id", *filter.trial_id);
  if (filter.since_ns) {
    // After a cursor it is not the index's lower bound.
    add(fmt::format("{}timestamp_ns >= {}", after ? "+" : "", bind(*filter.since_ns)));
  }
  if (filter.until_ns) add(fmt::format("timestamp_ns < {}", bind(*filter.until_ns)));
  std::string shared = std::exchange(conditions_, {});
  std::string limit = bind(std::int64_t{filter.limit} + 1);
  if (after) {
    // (timestamp_ns, id) > (?, ?) would seek the timestamp alone and walk all equal ones. Two
    // ranges, each in order, are merged as they are read.
    std::string timestamp = bind(after->timestamp_ns);
    std::string id = bind(after->id);
    sql_ = fmt::format(
        "{0}{1}{2} timestamp_ns = {3} AND id > {4} UNION ALL {0}{1}{2} timestamp_ns > {3}",
        select_clause, shared, shared.empty() ? " WHERE" : " AND", timestamp, id);
  } else {
    sql_ = fmt::format("{}{}", select_clause, shared);
  }
  sql_ += " ORDER BY timestamp_ns, id LIMIT " + limit;
}

void ReportSelect::restrict_to(const Principal& principal) {
  if (principal.own_patient) equal("patient_id", *principal.own_patient);
  if (!principal.unrestricted) {
    if (principal.studies.size() == 1) {
      equal("trial_id", principal.studies.front());
    } else {
      one_of("trial_id", principal.studies);  // of none: nothing
    }
  }
  if (!principal.sites.empty()) one_of("site_id", principal.sites);
}

void ReportSelect::equal(std::string_view column, std::string_view value) {
  // A unary plus keeps the planner from a second index, which it cannot weigh without statistics.
  add(fmt::format("{}{} = {}", sought_ ? "+" : "", column, bind(value)));
  sought_ = true;
}

void ReportSelect::one_of(std::string_view column, const std::vector<std::string>& values) {
  std::string list = "[";
  for (const std::string& value : values) {
    if (list.size() > 1) list += ',';
    append_json_string(list, value);
  }
  list += ']';
  add(fmt::format("+{} IN (SELECT value FROM json_each({}))", column, bind(List{lists_.size()})));
  lists_.push_back(std::move(list));
}

void ReportSelect::add(std::string_view condition) {
  conditions_.append(conditions_.empty() ? " WHERE " : " AND ").append(condition);
}

std::string ReportSelect::bind(Bound value) {
  bound_.push_back(value);
  return fmt::format("?{}", bound_.size());
}

std::vector<Value> ReportSelect::parameters() const {
  std::vector<Value> values;
  values.reserve(bound_.size());
  for (const auto& bound : bound_) {
    if (const auto* integer = std::get_if<std::int64_t>(&bound)) {
      values.emplace_back(*integer);
    } else if (const auto* text = std::get_if<std::string_view>(&bound)) {
      values.emplace_back(*text);
    } else {
      values.emplace_back(std::string_view(lists_[std::get<List>(bound).index]));
    }
  }
  return values;
}

}  // namespace trialwire::storage::sqlite
