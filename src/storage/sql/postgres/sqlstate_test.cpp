// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/sqlstate.hpp"

#include <gtest/gtest.h>

#include <string>

namespace trialwire::storage::postgres {
namespace {

TEST(SqlState, what_another_attempt_may_mend_is_retryable) {
  for (const char* state : {"08000", "08006", "08P01", "40001", "40P01", "53100", "53200", "53300",
                            "55P03", "57014", "57P01", "57P02", "57P03", "25006"}) {
    EXPECT_TRUE(traits(error_code(state)).retryable) << state;
  }
  EXPECT_EQ(error_code("53100"), ErrorCode::disk_full);
  EXPECT_EQ(error_code("53200"), ErrorCode::overloaded);
  EXPECT_EQ(error_code("53300"), ErrorCode::overloaded);
  EXPECT_EQ(error_code("57014"), ErrorCode::deadline_exceeded);
  EXPECT_EQ(error_code("58030"), ErrorCode::io);
}

TEST(SqlState, the_operators_errors_are_named_and_no_fault_of_the_rows) {
  EXPECT_EQ(error_code("28000"), ErrorCode::unauthenticated);
  EXPECT_EQ(error_code("28P01"), ErrorCode::unauthenticated);
  EXPECT_EQ(error_code("42501"), ErrorCode::forbidden);
  EXPECT_EQ(error_code("3D000"), ErrorCode::not_found);
  EXPECT_EQ(error_code("3F000"), ErrorCode::not_found);
  for (const char* state : {"42P01", "42703", "42804", "22P03", "22P04"}) {
    EXPECT_EQ(error_code(state), ErrorCode::internal) << state;
    EXPECT_FALSE(condition_name(state).empty()) << state;
  }
  EXPECT_EQ(condition_name("28P01"), "invalid_password");
}

TEST(SqlState, a_row_that_can_never_be_stored_is_told_from_the_rest) {
  for (const char* state : {"22001", "22003", "22021", "22P05", "23502", "23505", "23514"}) {
    EXPECT_EQ(error_code(state), ErrorCode::invalid_argument) << state;
  }
  EXPECT_EQ(error_code("54000"), ErrorCode::payload_too_large);
}

TEST(SqlState, of_a_code_that_is_not_listed_the_class_counts) {
  EXPECT_EQ(error_code("22999"), ErrorCode::invalid_argument);
  EXPECT_EQ(condition_name("22999"), "data exception");
  EXPECT_EQ(error_code("ZZ999"), ErrorCode::internal);
  EXPECT_EQ(condition_name("ZZ999"), "");
}

TEST(SqlState, none_means_that_the_server_said_nothing) {
  EXPECT_EQ(error_code(""), ErrorCode::unavailable);
  EXPECT_EQ(error_code("22"), ErrorCode::unavailable);
}

}  // namespace
}  // namespace trialwire::storage::postgres
