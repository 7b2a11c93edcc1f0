// SPDX-License-Identifier: Apache-2.0
// The query of a list's URL, after a byte that chooses the list, the dialect and who asks. What is
// wrong is an error of JSON's form; what is not becomes a statement whose text does not depend on
// what was sent, which has a value for each place, and which SQLite prepares and runs.
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "audit/audit_list.hpp"
#include "base/check.hpp"
#include "epro/report_list.hpp"
#include "qol/qol_list.hpp"
#include "query/list_filter.hpp"
#include "storage/sql/list_select.hpp"
#include "storage/sql/migrations.hpp"
#include "trial/metric_list.hpp"
#include "vitals/vital_list.hpp"

namespace {

using namespace trialwire;
using namespace trialwire::storage;

sqlite3* make_database() {
  sqlite3* database = nullptr;
  TW_CHECK(sqlite3_open(":memory:", &database) == SQLITE_OK);
  for (const MigrationStep& step : migrations(Dialect::sqlite)) {
    for (const std::string& sql : step.statements) {
      TW_CHECK(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    }
  }
  return database;
}

void run_in_sqlite(const ListSelect& select) {
  static sqlite3* database = make_database();
  sqlite3_stmt* statement = nullptr;
  TW_CHECK(sqlite3_prepare_v2(database, select.sql().c_str(), -1, &statement, nullptr) ==
           SQLITE_OK);
  TW_CHECK(sqlite3_bind_parameter_count(statement) == static_cast<int>(select.parameters().size()));
  int place = 1;
  for (const Value& value : select.parameters()) {
    int code = SQLITE_OK;
    if (const auto* text = std::get_if<std::string_view>(&value)) {
      code = sqlite3_bind_text64(statement, place, text->data(), text->size(), SQLITE_STATIC,
                                 SQLITE_UTF8);
    } else {
      code = sqlite3_bind_int64(statement, place, std::get<std::int64_t>(value));
    }
    TW_CHECK(code == SQLITE_OK);
    ++place;
  }
  TW_CHECK(sqlite3_step(statement) == SQLITE_DONE);
  sqlite3_finalize(statement);
}

Principal who_asks(unsigned bits) {
  Principal principal;
  principal.unrestricted = (bits & 1) != 0;
  if ((bits & 2) != 0) principal.studies = {"T-1", "it's \"quoted\" \\"};
  if ((bits & 4) != 0) principal.sites = {"S-1"};
  return principal;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::array lists{&epro::report_list(), &qol::answer_list(), &vitals::vital_list(),
                         &trial::metric_list(), &audit::audit_list()};
  const ListShape& shape = lists[(data[0] & 0x80) != 0 ? 4 : data[0] & 3]->shape;
  const auto dialect = static_cast<Dialect>((data[0] >> 2) & 3);
  const Principal principal = who_asks(data[0] >> 4);
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);

  ingest::FieldErrors errors(20);
  ListFilter filter = query::parse_list_filter(text, shape, errors);
  if (!errors.empty()) {
    std::string json = "{";
    errors.append_json(json);
    static_cast<void>(boost::json::parse(json + "}"));
    return 0;
  }
  TW_CHECK(filter.limit >= 1 && filter.limit <= list_limit_max);
  std::optional<PagePosition> after;
  if (!filter.cursor.empty()) after = PagePosition{1, 2};
  ListSelect select(dialect, principal, shape, filter, after);
  if (is_mysql(dialect)) {
    auto places = static_cast<std::size_t>(std::ranges::count(select.sql(), '?'));
    TW_CHECK(places == select.parameters().size());
  }
  ListFilter other = filter;
  for (ListFilter::Equal& equal : other.equal) equal.value = "other";
  TW_CHECK(ListSelect(dialect, principal, shape, other, after).sql() == select.sql());
  if (dialect == Dialect::sqlite) run_in_sqlite(select);
  return 0;
}
