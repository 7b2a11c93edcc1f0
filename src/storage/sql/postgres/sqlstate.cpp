// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/sqlstate.hpp"

#include <array>
#include <cstddef>

namespace trialwire::storage::postgres {
namespace {

using enum ErrorCode;

struct Condition {
  std::string_view sqlstate;  // five characters, or two: all others of that class
  ErrorCode code;
  std::string_view name;
};

// PostgreSQL 15, appendix A. Not listed: internal.
//
// 22P03 and 22P04 are data exceptions by class only: they say that a column has another type than
// the one that is sent, which is so for every row. P0001 is what a trigger of the operator's says:
// it may concern all rows as well, so it holds the lane up, where it is seen, and loses nothing.
constexpr std::array<Condition, 58> conditions{{
    {"08", unavailable, "connection exception"},
    {"08P01", unavailable, "protocol_violation"},
    {"0A", internal, "feature not supported"},
    {"22", invalid_argument, "data exception"},
    {"22001", invalid_argument, "string_data_right_truncation"},
    {"22003", invalid_argument, "numeric_value_out_of_range"},
    {"22021", invalid_argument, "character_not_in_repertoire"},
    {"22P02", invalid_argument, "invalid_text_representation"},
    {"22P03", internal, "invalid_binary_representation: the table has other column types"},
    {"22P04", internal, "bad_copy_file_format: the table has other columns"},
    {"22P05", invalid_argument, "untranslatable_character"},
    {"23", invalid_argument, "integrity constraint violation"},
    {"23502", invalid_argument, "not_null_violation"},
    {"23503", invalid_argument, "foreign_key_violation"},
    {"23505", invalid_argument, "unique_violation"},
    {"23514", invalid_argument, "check_violation"},
    {"23P01", invalid_argument, "exclusion_violation"},
    {"25", unavailable, "invalid transaction state"},
    {"25006", unavailable, "read_only_sql_transaction"},
    {"25P03", unavailable, "idle_in_transaction_session_timeout"},
    {"28", unauthenticated, "invalid authorization"},
    {"28000", unauthenticated, "invalid_authorization_specification"},
    {"28P01", unauthenticated, "invalid_password"},
    {"3D", not_found, "invalid_catalog_name: no such database"},
    {"3F", not_found, "invalid_schema_name"},
    {"40", unavailable, "transaction rollback"},
    {"40001", unavailable, "serialization_failure"},
    {"40003", unavailable, "statement_completion_unknown"},
    {"40P01", unavailable, "deadlock_detected"},
    {"42", internal, "access rule violation"},
    {"42501", forbidden, "insufficient_privilege"},
    {"42601", internal, "syntax_error"},
    {"42703", internal, "undefined_column"},
    {"42804", internal, "datatype_mismatch"},
    {"42P01", internal, "undefined_table"},
    {"53", overloaded, "insufficient resources"},
    {"53100", disk_full, "disk_full"},
    {"53200", overloaded, "out_of_memory"},
    {"53300", overloaded, "too_many_connections"},
    {"54", payload_too_large, "program limit exceeded"},
    {"54000", payload_too_large, "program_limit_exceeded"},
    {"54001", payload_too_large, "statement_too_complex"},
    {"55", unavailable, "object not in prerequisite state"},
    {"55006", unavailable, "object_in_use"},
    {"55P03", unavailable, "lock_not_available"},
    {"57", unavailable, "operator intervention"},
    {"57014", deadline_exceeded, "query_canceled"},
    {"57P01", unavailable, "admin_shutdown"},
    {"57P02", unavailable, "crash_shutdown"},
    {"57P03", unavailable, "cannot_connect_now"},
    {"57P04", unavailable, "database_dropped"},
    {"58", io, "system error"},
    {"58030", io, "io_error"},
    {"72", unavailable, "snapshot too old"},
    {"P0001", internal, "raise_exception"},
    {"XX", internal, "internal_error"},
    {"XX001", corrupt, "data_corrupted"},
    {"XX002", corrupt, "index_corrupted"},
}};

const Condition* find(std::string_view sqlstate) noexcept {
  for (const Condition& condition : conditions) {
    if (condition.sqlstate == sqlstate) return &condition;
  }
  return nullptr;
}

const Condition* condition_of(std::string_view sqlstate) noexcept {
  const Condition* exact = find(sqlstate);
  return exact != nullptr ? exact : find(sqlstate.substr(0, 2));
}

}  // namespace

ErrorCode error_code(std::string_view sqlstate) noexcept {
  if (sqlstate.size() != 5) return unavailable;
  const Condition* condition = condition_of(sqlstate);
  return condition == nullptr ? internal : condition->code;
}

std::string_view condition_name(std::string_view sqlstate) noexcept {
  if (sqlstate.size() != 5) return {};
  const Condition* condition = condition_of(sqlstate);
  return condition == nullptr ? std::string_view() : condition->name;
}

}  // namespace trialwire::storage::postgres
