// SPDX-License-Identifier: Apache-2.0
#include "loadgen/csv_mapping.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace trialwire::loadgen {
namespace {

constexpr std::string_view text_fields[] = {
    "patientId",         "trialId",  "siteId",     "reportId",    "timestamp",   "comments",
    "instrument",        "visitId",  "patient_id", "question_id", "submit_time", "trial_id",
    "instrumentVersion", "deviceId", "metricId",   "studyId",     "position",    "MetricID",
    "StudyID",           "SiteID",
};

// Numbers by contract. In a table they may have leading zeros (097.8), which JSON has not.
constexpr std::string_view number_fields[] = {
    "heartRate",       "bloodOxygen", "systolic", "diastolic", "temperature",
    "respiratoryRate", "glucose",     "weight",   "height",    "sequence",
    "qolScore",        "answer",      "value",    "Value",
};

struct Piece {
  enum class Kind : std::uint8_t { text, column, row_number, run };
  Kind kind = Kind::text;
  std::string text;
  std::size_t column = 0;
};

struct Row {
  const std::vector<std::string>& cells;
  std::size_t number;
  std::string_view run;
};

Result<std::size_t> find_column(std::string_view name, const CsvTable& table) {
  const auto found = std::ranges::find(table.columns, name);
  if (found == table.columns.end()) {
    return fail(ErrorCode::invalid_argument, fmt::format("--map: no column '{}'; the file has {}",
                                                         name, fmt::join(table.columns, ", ")));
  }
  return static_cast<std::size_t>(found - table.columns.begin());
}

// Text with {COLUMN} placeholders.
class Template {
 public:
  static Result<Template> parse(std::string_view source, const CsvTable& table) {
    Template made;
    while (!source.empty()) {
      const auto open = std::min(source.find('{'), source.size());
      if (open > 0) made.pieces_.push_back({.text = std::string(source.substr(0, open))});
      source.remove_prefix(open);
      if (source.empty()) break;
      const auto close = source.find('}');
      if (close == source.npos) {
        return fail(ErrorCode::invalid_argument, "--map: a { is not closed");
      }
      auto piece = placeholder(source.substr(1, close - 1), table);
      if (!piece) return std::unexpected(piece.error());
      made.pieces_.push_back(std::move(*piece));
      source.remove_prefix(close + 1);
    }
    return made;
  }

  /// Nothing when it names columns and all of them are empty in this row.
  [[nodiscard]] std::optional<std::string> render(const Row& row) const {
    std::string out;
    bool names_columns = false;
    bool any_filled = false;
    for (const auto& piece : pieces_) {
      switch (piece.kind) {
        case Piece::Kind::text:
          out += piece.text;
          break;
        case Piece::Kind::row_number:
          out += fmt::to_string(row.number);
          break;
        case Piece::Kind::run:
          out += row.run;
          break;
        case Piece::Kind::column:
          names_columns = true;
          any_filled = any_filled || !row.cells[piece.column].empty();
          out += row.cells[piece.column];
          break;
      }
    }
    if (names_columns && !any_filled) return std::nullopt;
    return out;
  }

 private:
  static Result<Piece> placeholder(std::string_view name, const CsvTable& table) {
    if (name == "#") return Piece{.kind = Piece::Kind::row_number};
    if (name == "run") return Piece{.kind = Piece::Kind::run};
    auto column = find_column(name, table);
    if (!column) return std::unexpected(column.error());
    return Piece{.kind = Piece::Kind::column, .column = *column};
  }

  std::vector<Piece> pieces_;
};

// ?COLUMN=VALUE
struct Condition {
  std::size_t column = 0;
  std::string value;
};

struct Entry {
  Template field;
  Template value;
  std::optional<Condition> condition;
  [[nodiscard]] bool applies(const Row& row) const {
    return !condition || row.cells[condition->column] == condition->value;
  }
};

Result<Condition> parse_condition(std::string_view text, const CsvTable& table) {
  const auto equals = text.find('=');
  if (equals == 0 || equals == text.npos) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--map: '?{}' is not ?COLUMN=VALUE", text));
  }
  auto column = find_column(text.substr(0, equals), table);
  if (!column) return std::unexpected(column.error());
  return Condition{*column, std::string(text.substr(equals + 1))};
}

Result<Entry> parse_entry(std::string_view text, const CsvTable& table) {
  std::optional<Condition> condition;
  if (const auto question = text.rfind('?'); question != text.npos) {
    auto parsed = parse_condition(text.substr(question + 1), table);
    if (!parsed) return std::unexpected(parsed.error());
    condition = std::move(*parsed);
    text = text.substr(0, question);
  }
  const auto equals = text.find('=');
  if (equals == 0 || equals == text.npos || equals + 1 == text.size()) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("--map: '{}' is not FIELD=COLUMN, FIELD=:CONSTANT or FIELD=TEXT with "
                            "{{COLUMN}} in it",
                            text));
  }
  std::string value(text.substr(equals + 1));
  if (value.starts_with(':')) {
    value.erase(0, 1);
  } else if (value.find('{') == value.npos) {
    value = "{" + value + "}";
  }
  auto field = Template::parse(text.substr(0, equals), table);
  if (!field) return std::unexpected(field.error());
  auto parsed = Template::parse(value, table);
  if (!parsed) return std::unexpected(parsed.error());
  return Entry{std::move(*field), std::move(*parsed), std::move(condition)};
}

bool is_json_number(std::string_view text) noexcept {
  const auto digits = [&text] {
    const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
    text.remove_prefix(end);
    return end;
  };
  if (text.starts_with('-')) text.remove_prefix(1);
  const bool leading_zero = text.starts_with('0');
  const auto whole = digits();
  if (whole == 0 || (leading_zero && whole > 1)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (digits() == 0) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (digits() == 0) return false;
  }
  return text.empty();
}

std::string_view without_leading_zeros(std::string_view number) noexcept {
  while (number.size() > 1 && number[0] == '0' && number[1] >= '0' && number[1] <= '9') {
    number.remove_prefix(1);
  }
  return number;
}

std::string json_value(std::string_view field, std::string_view text) {
  if (std::ranges::find(number_fields, field) != std::end(number_fields)) {
    const auto number = without_leading_zeros(text);
    if (is_json_number(number)) return std::string(number);
  }
  if (std::ranges::find(text_fields, field) == std::end(text_fields) && is_json_number(text)) {
    return std::string(text);
  }
  return json_string(text);
}

// Members in the order of the mapping; those of one object side by side.
class ObjectWriter {
 public:
  void add(std::string_view field, std::string_view text) {
    const auto dot = field.find('.');
    if (dot == field.npos) {
      members_.emplace_back(std::string(field), json_value(field, text));
      return;
    }
    const auto object = field.substr(0, dot);
    const auto name = field.substr(dot + 1);
    // The unit of a fraction is "1".
    const auto value = object == "units" ? json_string(text) : json_value(name, text);
    const auto member = json_string(name) + ":" + value;
    const auto found = std::ranges::find_if(
        objects_, [object](const auto& known) { return known.first == object; });
    if (found != objects_.end()) {
      found->second += "," + member;
    } else {
      objects_.emplace_back(std::string(object), member);
    }
  }

  [[nodiscard]] std::string finish() const {
    std::string out = "{";
    for (const auto& [name, value] : members_) {
      out += fmt::format("{}{}:{}", out.size() > 1 ? "," : "", json_string(name), value);
    }
    for (const auto& [name, inner] : objects_) {
      out += fmt::format("{}{}:{{{}}}", out.size() > 1 ? "," : "", json_string(name), inner);
    }
    return out + "}";
  }

 private:
  std::vector<std::pair<std::string, std::string>> members_;
  std::vector<std::pair<std::string, std::string>> objects_;
};

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

Result<std::vector<FileRecord>> map_rows(const CsvTable& table, std::string_view mapping,
                                         const MappingContext& context) {
  std::vector<Entry> entries;
  while (!mapping.empty()) {
    const auto comma = std::min(mapping.find(','), mapping.size());
    auto entry = parse_entry(mapping.substr(0, comma), table);
    if (!entry) return std::unexpected(entry.error());
    entries.push_back(std::move(*entry));
    mapping.remove_prefix(std::min(comma + 1, mapping.size()));
  }
  if (entries.empty()) return fail(ErrorCode::invalid_argument, "--map is empty");

  std::vector<FileRecord> records;
  records.reserve(table.rows.size());
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const Row row{table.rows[i], i + 1, context.run};
    ObjectWriter object;
    FileRecord record;
    for (const auto& entry : entries) {
      if (!entry.applies(row)) continue;
      const auto field = entry.field.render(row);
      const auto value = entry.value.render(row);
      if (!field || !value) continue;
      object.add(*field, *value);
      if (*field == "reportId") record.report_id = *value;
    }
    record.body = object.finish();
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace trialwire::loadgen
