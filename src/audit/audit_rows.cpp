// SPDX-License-Identifier: Apache-2.0
#include "audit/audit_rows.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "audit/entry_reader.hpp"

namespace trialwire::audit {
namespace {

using storage::Value;

enum Column : std::size_t {
  actor,
  roles,
  activity,
  outcome,
  target,
  trial_id,
  site_id,
  patient_id,
  timestamp,
  timestamp_ns,
  zone,
  row_count,
  times,
  reason,
  detail,
  old_value,
  new_value,
  source,
  column_count,
};

constexpr std::array<std::string_view, column_count> columns{
    "actor",   "roles",      "activity",  "outcome",      "target",    "trial_id",
    "site_id", "patient_id", "timestamp", "timestamp_ns", "zone",      "row_count",
    "times",   "reason",     "detail",    "old_value",    "new_value", "source"};
constexpr storage::RowTable audit_records{
    "audit_records", "audit_record_identities", columns, "actor", {}};

class AuditRows final : public storage::RowMapper {
 public:
  journal::RecordKind kind() const noexcept override { return journal::RecordKind::audit; }
  const storage::RowTable& table() const noexcept override { return audit_records; }

  bool map(const journal::Record& record, std::span<Value> row) override {
    auto entry = reader_.read(record);
    if (!entry) {
      row[timestamp_ns] = record.attributes.received_ns;  // so that it has a place in the list
      return false;
    }
    const auto text = [&](Column column, std::string_view value) {
      if (!value.empty()) row[column] = value;
    };
    text(actor, entry->who);
    text(roles, entry->roles);
    text(activity, entry->what);
    text(outcome, entry->outcome);
    text(target, entry->target);
    text(trial_id, entry->study);
    text(site_id, entry->site);
    text(patient_id, entry->subject);
    text(timestamp, entry->timestamp);
    row[timestamp_ns] = entry->at_ns;
    text(zone, entry->zone);
    if (entry->rows >= 0) row[row_count] = entry->rows;
    if (entry->times >= 0) row[times] = entry->times;
    text(reason, entry->why);
    text(detail, entry->detail);
    text(old_value, entry->old_value);
    text(new_value, entry->new_value);
    text(source, entry->origin);
    return true;
  }

 private:
  EntryReader reader_;
};

}  // namespace

std::unique_ptr<storage::RowMapper> make_rows() {
  return std::make_unique<AuditRows>();
}

}  // namespace trialwire::audit
