// SPDX-License-Identifier: Apache-2.0
// Where each read of subjects' data is written down before it is answered. A list without one
// cannot be made.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "journal/appender.hpp"

namespace trialwire::runtime {
class Shard;
}

namespace trialwire::query {

/// Who read what: never the rows themselves.
struct Read {
  std::string who;  // empty: anonymous
  std::vector<std::string> roles;
  std::string_view route;  // "/v1/vitals"
  std::string study;       // the one that all rows are of, by filter or by right; else empty
  std::string site;        // likewise
  std::string patient;     // likewise
  std::string filter;      // what else was asked for: a JSON object
  std::string why;         // as X-Audit-Reason says
  std::string origin;
  std::uint64_t rows = 0;
};

class ReadLog {
 public:
  virtual ~ReadLog() = default;
  /// On that shard's thread: would a read be written down now? Errors, for which the read is
  /// refused: disk_full, unavailable, overloaded.
  virtual Result<void> admit(runtime::Shard& shard) = 0;
  /// The waiter is told on the shard's thread: only when the receipt is durable may the rows be
  /// sent. False: it cannot be written down, and the waiter is not told.
  [[nodiscard]] virtual bool add(const Read& read, runtime::Shard& shard,
                                 journal::Waiter& waiter) = 0;
};

}  // namespace trialwire::query
