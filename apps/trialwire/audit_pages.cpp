// SPDX-License-Identifier: Apache-2.0
#include "audit_pages.hpp"

#include <fmt/format.h>

#include "base/rfc3339.hpp"
#include "base/uuid.hpp"
#include "storage/json_text.hpp"

namespace trialwire {

bool AuditFilter::takes(const audit::EntryView& entry) const noexcept {
  if (since_ns && entry.at_ns < *since_ns) return false;
  if (until_ns && entry.at_ns >= *until_ns) return false;
  if (!who.empty() && entry.who != who) return false;
  if (!what.empty() && entry.what != what) return false;
  return subject.empty() || entry.subject == subject;
}

void append_audit_line(std::string& to, const journal::Record& record,
                       const audit::EntryView& entry) {
  const auto quoted = [&to](std::string_view name, std::string_view text) {
    if (text.empty()) return;
    to.append(" ").append(name).append("=");
    storage::append_json_string(to, text);
  };
  const auto number = [&to](std::string_view name, std::int64_t value) {
    if (value >= 0) fmt::format_to(std::back_inserter(to), " {}={}", name, value);
  };
  fmt::format_to(std::back_inserter(to), "{} {} {} {} {}", record.sequence, entry.timestamp,
                 entry.zone, entry.what, entry.outcome);
  quoted("who", entry.who);
  if (!entry.roles.empty()) to.append(" roles=").append(entry.roles);
  quoted("target", entry.target);
  quoted("study", entry.study);
  quoted("site", entry.site);
  quoted("subject", entry.subject);
  number("rows", entry.rows);
  number("times", entry.times);
  quoted("why", entry.why);
  if (!entry.detail.empty()) to.append(" detail=").append(entry.detail);
  quoted("old", entry.old_value);
  quoted("new", entry.new_value);
  quoted("origin", entry.origin);
  to += '\n';
}

void append_audit_json(std::string& to, const journal::Record& record) {
  const RecordOrigin origin{record.journal, record.epoch, record.sequence,
                            record.attributes.received_ns};
  fmt::format_to(std::back_inserter(to),
                 R"({{"sequence":{},"recordId":"{}","journalId":"{}","receivedAt":"{}",)",
                 record.sequence, record_id(origin).text(), record.journal.text(),
                 format_rfc3339_ms(record.attributes.received_ns));
  std::string_view body = as_text(record.bytes);
  body.remove_prefix(body.find('{') + 1);
  to.append(body).append("\n");
}

}  // namespace trialwire
