// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/list_select.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/check.hpp"
#include "storage/json_text.hpp"

namespace trialwire::storage {
namespace {

constexpr std::string_view patient_column = "patient_id";
constexpr std::string_view study_column = "trial_id";
constexpr std::string_view site_column = "site_id";

const RecordTable& table_of(const ListShape& shape) {
  const RecordTable* table = find_record_table(shape.table);
  TW_CHECK(table != nullptr);
  return *table;
}

/// An array as PostgreSQL reads one from text: {"a","b \" c"}.
std::string array_text(const std::vector<std::string>& values) {
  std::string text = "{";
  for (const std::string& value : values) {
    if (text.size() > 1) text += ',';
    text += '"';
    for (char c : value) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + '}';
}

std::string json_array(const std::vector<std::string>& values) {
  std::string text = "[";
  for (const std::string& value : values) {
    if (text.size() > 1) text += ',';
    append_json_string(text, value);
  }
  return text + ']';
}

}  // namespace

std::vector<const RecordColumn*> list_fields(const RecordTable& table) {
  std::vector<const RecordColumn*> fields;
  for (const RecordColumn& column : table.columns) {
    if (!column.field.empty()) fields.push_back(&column);
  }
  return fields;
}

ListSelect::ListSelect(Dialect dialect, const Principal& principal, const ListShape& shape,
                       const ListFilter& filter, const std::optional<PagePosition>& after)
    : dialect_(dialect), table_(table_of(shape)) {
  std::vector<Equality> equalities;
  for (const ListFilter::Equal& equal : filter.equal) {
    auto known = std::ranges::find(shape.parameters, equal.column, &ListParameter::column);
    TW_CHECK(known != shape.parameters.end() && has(known->column));
    equalities.push_back({known->column, equal.value});
  }
  if (principal.own_patient) equalities.push_back({patient_column, *principal.own_patient});
  bool one_study = !principal.unrestricted && principal.studies.size() == 1;
  if (one_study) equalities.push_back({study_column, principal.studies.front()});
  add_equalities(equalities);
  add_restrictions(principal);
  add_period(filter, after.has_value());
  std::string select = "SELECT ";
  for (std::string_view column :
       {"id", "timestamp_ns", "record_id", "sequence", "received_at", "flags"}) {
    select += (column == "id" ? "" : ", ") + name(column);
  }
  for (const RecordColumn* field : list_fields(table_)) select += ", " + name(field->name);
  select += " FROM " + name(table_.name);
  number_placeholders(pages(select, after, std::int64_t{filter.limit} + 1));
}

bool ListSelect::has(std::string_view column) const noexcept {
  return std::ranges::find(table_.columns, column, &RecordColumn::name) != table_.columns.end();
}

/// Each index is in the order of the page, so that nothing is sorted and a page costs what it
/// holds. The first of the table's indexes whose column is compared is the narrowest; SQLite, which
/// cannot weigh them without statistics, is kept from the others by a unary plus.
void ListSelect::add_equalities(const std::vector<Equality>& equalities) {
  const Equality* sought = nullptr;
  for (const RecordIndex& index : table_.indexes) {
    auto found = std::ranges::find(equalities, index.columns.front(), &Equality::column);
    if (found == equalities.end()) continue;
    sought = &*found;
    break;
  }
  for (const Equality& equality : equalities) {
    if (!has(equality.column)) {
      add("1 = 0");
      continue;
    }
    bool hidden = dialect_ == Dialect::sqlite && &equality != sought;
    add(fmt::format("{}{} = {}", hidden ? "+" : "", name(equality.column), bind(equality.value)));
  }
}

void ListSelect::add_restrictions(const Principal& principal) {
  if (!principal.unrestricted && principal.studies.size() != 1) {
    one_of(study_column, principal.studies);  // of none: nothing
  }
  if (!principal.sites.empty()) one_of(site_column, principal.sites);
}

void ListSelect::one_of(std::string_view column, const std::vector<std::string>& values) {
  if (!has(column) || values.empty()) {
    add("1 = 0");
  } else if (dialect_ == Dialect::sqlite) {
    add(fmt::format("+{} IN (SELECT value FROM json_each({}))", name(column),
                    bind(std::string_view(lists_.emplace_back(json_array(values))))));
  } else if (dialect_ == Dialect::postgres) {
    add(fmt::format("{} = ANY ({}::text[])", name(column),
                    bind(std::string_view(lists_.emplace_back(array_text(values))))));
  } else {
    // As many as the next power of two, the last one again and again: few texts of statements.
    std::string places;
    for (std::size_t i = 0; i < std::bit_ceil(values.size()); ++i) {
      const std::string& value = values[std::min(i, values.size() - 1)];
      places += (i == 0 ? "" : ", ") + bind(std::string_view(value));
    }
    add(fmt::format("{} IN ({})", name(column), places));
  }
}

void ListSelect::add_period(const ListFilter& filter, bool after_cursor) {
  std::string timestamp = name("timestamp_ns");
  if (filter.since_ns) {
    // After a cursor it is not the index's lower bound.
    bool hidden = after_cursor && dialect_ == Dialect::sqlite;
    add(fmt::format("{}{} >= {}", hidden ? "+" : "", timestamp, bind(*filter.since_ns)));
  }
  if (filter.until_ns) add(fmt::format("{} < {}", timestamp, bind(*filter.until_ns)));
}

/// PostgreSQL seeks (timestamp_ns, id) > (…) in its indexes, which have both. The others would seek
/// the timestamp alone and walk all equal ones: there, two ranges, each in order, are merged as
/// they are read.
std::string ListSelect::pages(const std::string& select, const std::optional<PagePosition>& after,
                              std::int64_t limit) {
  const std::string timestamp = name("timestamp_ns");
  const std::string id = name("id");
  const std::string order = fmt::format(" ORDER BY {}, {} LIMIT {}", timestamp, id, bind(limit));
  if (!after) return select + conditions_ + order;
  const std::string at_timestamp = bind(after->timestamp_ns);
  const std::string at_id = bind(after->id);
  if (dialect_ == Dialect::postgres) {
    add(fmt::format("({}, {}) > ({}, {})", timestamp, id, at_timestamp, at_id));
    return select + conditions_ + order;
  }
  const std::string shared =
      select + conditions_ + (conditions_.empty() ? " WHERE " : " AND ") + timestamp;
  const std::string equal = fmt::format("{} = {} AND {} > {}", shared, at_timestamp, id, at_id);
  const std::string later = fmt::format("{} > {}", shared, at_timestamp);
  if (dialect_ == Dialect::sqlite) return equal + " UNION ALL " + later + order;
  return fmt::format("({}{}) UNION ALL ({}{}){}", equal, order, later, order, order);
}

void ListSelect::add(std::string_view condition) {
  conditions_.append(conditions_.empty() ? " WHERE " : " AND ").append(condition);
}

std::string ListSelect::bind(Value value) {
  bound_.push_back(value);
  return fmt::format("?{}", bound_.size());
}

/// No question mark is in the text but those of `bind`: nothing in it comes from outside.
void ListSelect::number_placeholders(const std::string& text) {
  if (!is_mysql(dialect_)) {
    sql_ = text;
    if (dialect_ == Dialect::postgres) std::ranges::replace(sql_, '?', '$');
    parameters_ = std::move(bound_);
    return;
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    sql_ += text[i];
    if (text[i] != '?') continue;
    std::size_t number = 0;
    const char* end = std::from_chars(&text[i + 1], text.data() + text.size(), number).ptr;
    parameters_.push_back(bound_[number - 1]);
    i = static_cast<std::size_t>(end - text.data()) - 1;
  }
}

}  // namespace trialwire::storage
