// SPDX-License-Identifier: Apache-2.0
// What `trialwire audit show` prints.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "audit/entry_reader.hpp"
#include "journal/record.hpp"

namespace trialwire {

struct AuditFilter {
  std::optional<std::int64_t> since_ns;  // inclusive
  std::optional<std::int64_t> until_ns;  // exclusive
  std::string who, what, subject;        // empty: any
  bool takes(const audit::EntryView& entry) const noexcept;
};

/// A line for people; what others wrote is quoted, with its control characters escaped.
void append_audit_line(std::string& to, const journal::Record& record,
                       const audit::EntryView& entry);
/// The entry as it is in the journal, with its place in front.
void append_audit_json(std::string& to, const journal::Record& record);

}  // namespace trialwire
