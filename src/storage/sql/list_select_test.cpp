// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/list_select.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace trialwire::storage {
namespace {

constexpr std::array<ListParameter, 2> parameters{
    {{"patientId", "patient_id"}, {"trialId", "trial_id"}}};
constexpr ListShape reports{"epro_reports", parameters, {}};
constexpr ListShape vitals{"vital_signs", parameters, {}};
constexpr ListShape metrics{"trial_metrics", {}, {}};
constexpr std::array all_dialects{Dialect::sqlite, Dialect::postgres, Dialect::mysql,
                                  Dialect::mariadb};

std::string conditions(const ListSelect& select) {
  return select.sql().substr(select.sql().find(" WHERE "));
}

bool binds(const ListSelect& select, std::string_view text) {
  return std::ranges::any_of(select.parameters(), [&](const Value& value) {
    const auto* bound = std::get_if<std::string_view>(&value);
    return bound != nullptr && bound->find(text) != std::string_view::npos;
  });
}

/// Placeholders in the text of MySQL's statements, which have no numbers.
std::size_t places(std::string_view sql) {
  return static_cast<std::size_t>(std::ranges::count(sql, '?'));
}

TEST(ListSelect, no_statement_exists_that_forgets_the_principal) {
  Principal restricted;
  restricted.studies = {"T-secret"};
  restricted.sites = {"S-1", "S-2"};
  restricted.own_patient = "P-own";
  for (Dialect dialect : all_dialects) {
    for (int bits = 0; bits < 16; ++bits) {
      ListFilter filter;
      if (bits & 1) filter.equal.push_back({"patient_id", "P"});
      if (bits & 2) filter.equal.push_back({"trial_id", "T"});
      if (bits & 4) filter.since_ns = 1;
      std::optional<PagePosition> after;
      if (bits & 8) after.emplace();
      ListSelect select(dialect, restricted, reports, filter, after);
      for (std::string_view bound : {"T-secret", "S-1", "S-2", "P-own"}) {
        EXPECT_TRUE(binds(select, bound)) << bound << select.sql();
      }
      for (std::string_view column : {"patient_id", "trial_id", "site_id"}) {
        EXPECT_TRUE(conditions(select).contains(column)) << select.sql();
      }
    }
  }
}

TEST(ListSelect, a_restriction_on_what_the_table_does_not_have_leaves_nothing) {
  Principal site = Principal::anonymous();
  site.sites = {"S-1"};
  Principal patient = Principal::anonymous();
  patient.own_patient = "P-1";
  Principal nothing;
  for (Dialect dialect : all_dialects) {
    EXPECT_TRUE(ListSelect(dialect, site, vitals, {}, {}).sql().contains("1 = 0"));
    EXPECT_TRUE(ListSelect(dialect, patient, metrics, {}, {}).sql().contains("1 = 0"));
    EXPECT_TRUE(ListSelect(dialect, nothing, reports, {}, {}).sql().contains("1 = 0"));
    EXPECT_FALSE(ListSelect(dialect, patient, vitals, {}, {}).sql().contains("1 = 0"));
  }
}

TEST(ListSelect, what_a_client_sends_is_bound_and_never_part_of_the_text) {
  Principal principal;
  principal.studies = {"'; DROP TABLE x; --", "\"}, {\\"};
  ListFilter filter{.equal = {{"patient_id", "' OR 1=1 --"}}};
  for (Dialect dialect : all_dialects) {
    ListSelect select(dialect, principal, reports, filter, PagePosition{1, 2});
    EXPECT_FALSE(select.sql().contains("DROP"));
    EXPECT_FALSE(select.sql().contains("OR 1"));
    EXPECT_TRUE(binds(select, "OR 1=1"));
  }
}

TEST(ListSelect, sqlite_numbers_its_places_and_seeks_one_index) {
  ListFilter filter{.equal = {{"trial_id", "T"}, {"patient_id", "P"}}, .since_ns = 5, .limit = 10};
  ListSelect select(Dialect::sqlite, Principal::anonymous(), reports, filter, {});
  EXPECT_TRUE(select.sql().ends_with(
      " FROM epro_reports WHERE +trial_id = ?1 AND patient_id = ?2 AND timestamp_ns >= ?3 "
      "ORDER BY timestamp_ns, id LIMIT ?4"))
      << select.sql();
  ASSERT_EQ(select.parameters().size(), 4U);
  EXPECT_EQ(select.parameters()[0], Value(std::string_view("T")));
  EXPECT_EQ(select.parameters()[3], Value(std::int64_t{11}));
}

TEST(ListSelect, postgres_seeks_both_parts_of_the_cursor) {
  Principal principal;
  principal.studies = {"T-1", "T\"2\\"};
  ListSelect select(Dialect::postgres, principal, vitals, {}, PagePosition{7, 8});
  EXPECT_TRUE(select.sql().ends_with(
      R"( FROM "vital_signs" WHERE "trial_id" = ANY ($1::text[]) AND )"
      R"(("timestamp_ns", "id") > ($3, $4) ORDER BY "timestamp_ns", "id" LIMIT $2)"))
      << select.sql();
  EXPECT_EQ(select.parameters()[0], Value(std::string_view(R"({"T-1","T\"2\\"})")));
  EXPECT_EQ(select.parameters()[2], Value(std::int64_t{7}));
}

TEST(ListSelect, mysql_has_a_value_for_each_place_in_their_order) {
  Principal principal;
  principal.studies = {"T-1", "T-2", "T-3"};
  ListFilter filter{.equal = {{"patient_id", "P"}}, .limit = 10};
  ListSelect select(Dialect::mysql, principal, reports, filter, PagePosition{7, 8});
  std::string_view half =
      "FROM `epro_reports` WHERE `patient_id` = ? AND `trial_id` IN (?, ?, ?, ?) "
      "AND `timestamp_ns` = ? AND `id` > ? ORDER BY `timestamp_ns`, `id` LIMIT ?) UNION ALL (";
  EXPECT_TRUE(select.sql().contains(half)) << select.sql();
  ASSERT_EQ(select.parameters().size(), places(select.sql()));
  std::vector<Value> expected;
  auto add_half = [&](bool equal) {
    for (std::string_view text : {"P", "T-1", "T-2", "T-3", "T-3"}) expected.emplace_back(text);
    expected.emplace_back(std::int64_t{7});
    if (equal) expected.emplace_back(std::int64_t{8});
    expected.emplace_back(std::int64_t{11});
  };
  add_half(true);
  add_half(false);
  expected.emplace_back(std::int64_t{11});
  EXPECT_EQ(select.parameters(), expected);
}

TEST(ListSelect, equal_questions_of_many_studies_have_few_texts) {
  Principal five;
  five.studies = {"1", "2", "3", "4", "5"};
  Principal eight;
  eight.studies = {"1", "2", "3", "4", "5", "6", "7", "8"};
  for (Dialect dialect : all_dialects) {
    EXPECT_EQ(ListSelect(dialect, five, reports, {}, {}).sql(),
              ListSelect(dialect, eight, reports, {}, {}).sql());
  }
}

}  // namespace
}  // namespace trialwire::storage
