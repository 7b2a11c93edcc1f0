// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/query_pool.hpp"

#include <chrono>

namespace trialwire::storage {

bool given_up(const QueryControl& control) noexcept {
  return control.stop.stop_requested() || std::chrono::steady_clock::now() >= control.deadline;
}

Error reason_to_give_up(const QueryControl& control) {
  if (control.stop.stop_requested()) return {ErrorCode::cancelled, "the query was cancelled"};
  return {ErrorCode::deadline_exceeded, "the query took too long: narrow its filters"};
}

Error for_asker(Error error) {
  switch (error.code) {
    case ErrorCode::unauthenticated:
    case ErrorCode::forbidden:
    case ErrorCode::not_found:
    case ErrorCode::not_implemented:
      error.code = ErrorCode::unavailable;
      break;
    default:
      break;
  }
  return error;
}

}  // namespace trialwire::storage
