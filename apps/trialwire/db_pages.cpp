// SPDX-License-Identifier: Apache-2.0
#include "db_pages.hpp"

#include <boost/json.hpp>
#include <iterator>

#include <fmt/format.h>

namespace trialwire {
namespace {

namespace json = boost::json;

/// "1,234,567"
std::string with_commas(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return text;
}

std::string_view verdict(const storage::StoreStatus& status) {
  if (status.version_applied < status.version_known) return "behind: trialwire db migrate";
  if (status.version_applied > status.version_known) return "newer than this program";
  return "up to date";
}

}  // namespace

std::string migrated_text(std::string_view where, std::int64_t from, std::int64_t to) {
  if (from == to) return fmt::format("{}: schema {} is up to date\n", where, to);
  if (from == 0) return fmt::format("{}: schema {} made\n", where, to);
  return fmt::format("{}: schema {} is now {}\n", where, from, to);
}

std::string store_status_text(std::string_view where, const storage::StoreStatus& status) {
  std::string text = fmt::format("database  {}\nschema    {} of {}, {}\n", where,
                                 status.version_applied, status.version_known, verdict(status));
  auto out = std::back_inserter(text);
  fmt::format_to(out, "\n{:<16} {:>16}\n", "table", "rows, about");
  for (const auto& table : status.tables) {
    fmt::format_to(out, "{:<16} {:>16}\n", table.name,
                   table.rows ? with_commas(*table.rows) : "no table");
  }
  if (status.cursors.empty()) return text + "\nno cursors: nothing was delivered yet\n";
  fmt::format_to(out, "\n{:<10} {:>4}  {:<36} {:>16}\n", "sink", "lane", "journal",
                 "next sequence");
  for (const auto& cursor : status.cursors) {
    fmt::format_to(out, "{:<10} {:>4}  {:<36} {:>16}\n", cursor.sink, cursor.lane, cursor.journal,
                   cursor.next_sequence);
  }
  return text;
}

std::string store_status_json(std::string_view where, const storage::StoreStatus& status) {
  json::object tables;
  for (const auto& table : status.tables) {
    tables[table.name] = table.rows ? json::value(*table.rows) : json::value();
  }
  json::array cursors;
  for (const auto& cursor : status.cursors) {
    cursors.push_back(json::object{{"sink", cursor.sink},
                                   {"lane", cursor.lane},
                                   {"journalId", cursor.journal},
                                   {"nextSequence", cursor.next_sequence}});
  }
  return json::serialize(json::object{{"database", where},
                                      {"schemaApplied", status.version_applied},
                                      {"schemaKnown", status.version_known},
                                      {"rowsAbout", std::move(tables)},
                                      {"cursors", std::move(cursors)}}) +
         "\n";
}

}  // namespace trialwire
