// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/mysql/error_number.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <initializer_list>

namespace trialwire::storage::mysql {
namespace {

ErrorCode code(unsigned number, std::string_view sqlstate = "HY000") {
  return error_code({number, sqlstate});
}

TEST(MysqlErrorNumberTest, what_passes_by_itself_may_be_repeated) {
  for (unsigned number : {1040U, 1053U, 1203U, 1205U, 1213U, 1290U, 1836U, 1927U, 1317U, 1969U,
                          3024U, 2002U, 2003U, 2005U, 2006U, 2013U, 2055U}) {
    EXPECT_TRUE(traits(code(number)).retryable) << number;
  }
}

TEST(MysqlErrorNumberTest, a_full_disk_is_called_so) {
  EXPECT_EQ(code(1021), ErrorCode::disk_full);
  EXPECT_EQ(code(1114), ErrorCode::disk_full);
}

TEST(MysqlErrorNumberTest, a_value_that_its_column_refuses_is_the_records_fault) {
  for (unsigned number : {1048U, 1062U, 1264U, 1265U, 1292U, 1300U, 1366U, 1406U, 3819U, 4025U}) {
    EXPECT_EQ(code(number), ErrorCode::invalid_argument) << number;
  }
  EXPECT_EQ(code(1153), ErrorCode::payload_too_large);
  EXPECT_EQ(code(2020), ErrorCode::payload_too_large);
}

TEST(MysqlErrorNumberTest, what_the_operator_must_mend_is_no_records_fault) {
  EXPECT_EQ(code(1044), ErrorCode::forbidden);
  EXPECT_EQ(code(1045), ErrorCode::unauthenticated);
  EXPECT_EQ(code(1049), ErrorCode::not_found);
  EXPECT_EQ(code(1142), ErrorCode::forbidden);
  EXPECT_EQ(code(1146), ErrorCode::unavailable);
}

TEST(MysqlErrorNumberTest, a_number_that_is_not_known_is_classified_by_its_state) {
  EXPECT_EQ(code(3140, "22032"), ErrorCode::invalid_argument);  // MySQL: invalid JSON text
  EXPECT_EQ(code(1452, "23000"), ErrorCode::invalid_argument);
  EXPECT_EQ(code(1158, "08S01"), ErrorCode::unavailable);
  EXPECT_EQ(code(1180, "40000"), ErrorCode::unavailable);
  EXPECT_EQ(code(1064, "42000"), ErrorCode::internal);
  EXPECT_EQ(code(9999, ""), ErrorCode::internal);
  EXPECT_EQ(code(2999), ErrorCode::unavailable) << "the client's: whatever it is, not the record's";
}

TEST(MysqlErrorNumberTest, a_description_names_condition_number_and_state) {
  EXPECT_EQ(describe({1213, "40001"}),
            "a deadlock, which this transaction lost (error 1213, SQLSTATE 40001)");
  EXPECT_EQ(describe({2002, "HY000", ECONNREFUSED}),
            "cannot connect: Connection refused (error 2002, SQLSTATE HY000)");
  EXPECT_EQ(describe({1064, "42000"}), "refused by the server (error 1064, SQLSTATE 42000)");
}

TEST(MysqlErrorNumberTest, the_key_or_column_that_refuses_a_row_is_named_and_no_value_is) {
  const std::string duplicate = "Duplicate entry 'for key 'P-1' for key 'one_a_site'";
  EXPECT_EQ(refuses(1062, duplicate), "key one_a_site");
  EXPECT_EQ(refuses(1062, "Duplicate entry 'x' for key 'epro_reports.one'"),
            "key epro_reports.one");
  EXPECT_EQ(refuses(1048, "Column 'site_id' cannot be null"), "column site_id");
  EXPECT_EQ(refuses(1406, "Data too long for column 'a' at row 1"), "column a");
  EXPECT_EQ(refuses(4025, "CONSTRAINT `short` failed for `t`.`epro_reports`"), "constraint short");
  EXPECT_EQ(refuses(3819, "Check constraint 'short' is violated."), "constraint short");
  EXPECT_EQ(refuses(1062, "Duplicate entry 'P-1' for key 'of two words'"), "");
  EXPECT_EQ(refuses(1062, "Duplicate entry 'P-1' for key 'x"), "");
  EXPECT_EQ(refuses(1062, "P-1"), "");
  EXPECT_EQ(refuses(1366, "Incorrect string value: 'x' for column 'a' at row 1"), "");
  EXPECT_EQ(describe({1062, "23000", 0, "key one_a_site"}),
            "a unique key exists already: key one_a_site (error 1062, SQLSTATE 23000)");
}

TEST(MysqlErrorNumberTest, why_a_connection_was_not_made_is_in_the_librarys_message_alone) {
  EXPECT_EQ(system_error(2002, "Can't connect to server on '127.0.0.1' (111)"), ECONNREFUSED);
  EXPECT_EQ(system_error(2003, "Can't connect to MySQL server on 'db(1)' (110)"), ETIMEDOUT);
  EXPECT_EQ(system_error(2005, "Unknown server host 'nowhere' (-2)"), 0);
  EXPECT_EQ(system_error(2002, "Can't connect to server on 'db' (-1)"), 0);
  EXPECT_EQ(system_error(2002, "Can't connect to server on 'db'"), 0);
  EXPECT_EQ(system_error(2002, "(111"), 0);
  EXPECT_EQ(system_error(1062, "Duplicate entry '(12)' for key 'x' (12)"), 0);
}

}  // namespace
}  // namespace trialwire::storage::mysql
