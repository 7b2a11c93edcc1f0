// SPDX-License-Identifier: Apache-2.0
// Reading reports back. Every query takes the principal: what it may not see is not found, not
// counted and not hinted at.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace trialwire::storage {

/// Who asks, and what they may see. Anonymous while auth is off: everything.
struct Principal {
  std::string subject;                     // empty: anonymous
  bool unrestricted = false;               // sees all studies
  std::vector<std::string> studies;        // else only these
  std::vector<std::string> sites;          // and, when not empty, only these sites
  std::optional<std::string> own_patient;  // and, when set, only this patient's
  static Principal anonymous() {
    Principal everyone;
    everyone.unrestricted = true;
    return everyone;
  }
};

struct ReportFilter {
  std::optional<std::string> patient_id;
  std::optional<std::string> trial_id;
  std::optional<std::int64_t> since_ns;  // of the report's own timestamp, inclusive
  std::optional<std::int64_t> until_ns;  // exclusive
  std::uint32_t limit = 100;             // 1..1000
  std::string cursor;                    // opaque, of an earlier page; empty: from the start
};

/// A page as JSON text, ready to send: {"items":[…],"next":"…"|null}. Ordered by the report's own
/// timestamp, then by arrival in the database. A page ends early when it is large: `next` says so.
struct ReportPage {
  std::string json;
  std::size_t items = 0;
};

/// When a query is given up: at the deadline, or when the one who asked has gone.
struct QueryControl {
  std::stop_token stop;
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

class ReportQuery {
 public:
  virtual ~ReportQuery() = default;
  /// Blocks; on a worker, any number at once. Errors: invalid_argument (cursor, limit), unavailable
  /// (database), overloaded (every connection in use), cancelled, deadline_exceeded, internal.
  virtual Result<ReportPage> reports(const Principal& principal, const ReportFilter& filter,
                                     const QueryControl& control) = 0;
};

}  // namespace trialwire::storage
