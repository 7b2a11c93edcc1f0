// SPDX-License-Identifier: Apache-2.0
#include "audit/trail.hpp"

#include <algorithm>

#include "base/bytes.hpp"
#include "base/utf8.hpp"

namespace trialwire::audit {
namespace {

constexpr std::array<std::string_view, 5> kinds_of_entries{
    what_read, what_login_failure, what_refused, what_setting, what_command};
constexpr std::size_t attribute_bytes_max = 255;
constexpr std::size_t usual_bytes = 512;  // of an entry, for admission

}  // namespace

Trail::Trail(journal::Appender& appender, telemetry::Registry& metrics)
    : appender_(appender),
      refused_(metrics.counter("trialwire_audit_refused_total",
                               "Times that the journal took no audit entry; what it was about was "
                               "refused or is tried again.")) {
  for (std::size_t i = 0; i < counters_.size(); ++i) {
    counters_[i] = &metrics.counter("trialwire_audit_entries_total",
                                    "Entries of the audit trail handed to the journal, by what.",
                                    {{"what", std::string(kinds_of_entries[i])}});
  }
}

Result<void> Trail::admit() noexcept {
  auto admitted = appender_.admit(usual_bytes);
  if (!admitted) refused();
  return admitted;
}

bool Trail::add(std::span<const Entry> entries, std::int64_t received_ns, journal::Waiter& waiter) {
  appender_.begin(journal::GroupMode::all_or_none);
  for (const Entry& entry : entries) {
    text_.clear();
    append_json(text_, entry);
    add_record({.json = text_,
                .who = entry.who,
                .what = entry.what,
                .origin = entry.origin,
                .identity = {}},
               received_ns);
  }
  return end(waiter);
}

bool Trail::add(const Written& entry, std::int64_t received_ns, journal::Waiter& waiter) {
  appender_.begin(journal::GroupMode::all_or_none);
  add_record(entry, received_ns);
  return end(waiter);
}

void Trail::add_record(const Written& entry, std::int64_t received_ns) {
  journal::Record record;
  record.attributes.kind = journal::RecordKind::audit;
  record.attributes.content_type = journal::ContentType::json;
  record.attributes.received_ns = received_ns;
  record.attributes.principal = utf8_prefix(entry.who, attribute_bytes_max);
  record.attributes.origin = utf8_prefix(entry.origin, attribute_bytes_max);
  record.attributes.key_hash = key_hash(entry.who);
  record.attributes.identity = entry.identity;
  record.bytes = as_bytes(entry.json);
  if (entry.identity != Hash128{}) {
    record.attributes.content_hash = content_hash(appender_.identity_key(), record.bytes);
  }
  appender_.add(record);
  count(entry.what);
}

bool Trail::end(journal::Waiter& waiter) {
  if (!appender_.fits()) {
    appender_.cancel();
    refused();
    return false;
  }
  appender_.end(waiter);
  return true;
}

void Trail::count(std::string_view what) noexcept {
  const auto* known = std::ranges::find(kinds_of_entries, what);
  if (known == kinds_of_entries.end()) return;
  counters_[static_cast<std::size_t>(known - kinds_of_entries.begin())]->add();
}

}  // namespace trialwire::audit
