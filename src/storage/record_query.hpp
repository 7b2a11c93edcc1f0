// SPDX-License-Identifier: Apache-2.0
// Reading records back: one list a kind, the same in every database. A capability says what its
// list looks like (ListShape), HTTP what is asked for (ListFilter). Every query takes the
// principal: what it may not see is not found, not counted and not hinted at.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace trialwire::storage {

/// Who asks, and what they may see. Anonymous while auth is off: everything. Each restriction is of
/// a column of the list's table (trial_id, site_id, patient_id); where the table has no such column
/// nothing can be said to be allowed, and nothing is seen.
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

/// A query parameter that narrows the list to the rows whose column is equal to it.
struct ListParameter {
  std::string_view name;  // "patientId"
  std::string_view column;
  std::size_t characters_max = 64;
};

/// One list. Static: all texts are literals. The table is one of storage/sql/record_table.hpp,
/// which says what its columns are called in an item; a name that is not there is a broken
/// invariant.
struct ListShape {
  std::string_view table;
  std::span<const ListParameter> parameters;
  std::span<const std::string_view> flag_names;  // of RecordAttributes::flags, by bit
};

struct ListFilter {
  struct Equal {
    std::string_view column;  // of one of the shape's parameters
    std::string value;
  };
  std::vector<Equal> equal;
  std::optional<std::int64_t> since_ns;  // of the record's own timestamp, inclusive
  std::optional<std::int64_t> until_ns;  // exclusive
  std::uint32_t limit = 100;             // 1..list_limit_max
  std::string cursor;                    // opaque, of an earlier page; empty: from the start
};

constexpr std::uint32_t list_limit_max = 1'000;

/// A page as JSON text, ready to send: {"items":[…],"next":"…"|null}. Ordered by the record's own
/// timestamp, then by arrival in the database. A page ends early when it is large: `next` says so.
struct ListPage {
  std::string json;
  std::size_t items = 0;
};

/// When a query is given up: at the deadline, or when the one who asked has gone.
struct QueryControl {
  std::stop_token stop;
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

class RecordQuery {
 public:
  virtual ~RecordQuery() = default;
  /// Blocks; on a worker, any number at once. Errors: invalid_argument (cursor, limit), unavailable
  /// (database), overloaded (every connection in use), cancelled, deadline_exceeded, internal.
  virtual Result<ListPage> list(const Principal& principal, const ListShape& shape,
                                const ListFilter& filter, const QueryControl& control) = 0;
};

}  // namespace trialwire::storage
