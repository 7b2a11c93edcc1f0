// SPDX-License-Identifier: Apache-2.0
#include "audit/entry_reader.hpp"

#include <array>
#include <cstddef>
#include <limits>

#include "ingest/field_reader.hpp"

namespace trialwire::audit {
namespace {

using ingest::FieldOutcome;
using ingest::FieldReader;
using ingest::Rule;

constexpr std::array<std::string_view, 17> names{
    "who",  "roles", "what",  "outcome", "target", "studyId", "siteId", "subject", "timestamp",
    "zone", "rows",  "times", "why",     "detail", "old",     "new",    "origin"};
enum Field : std::size_t {
  who,
  roles,
  what,
  outcome,
  target,
  study,
  site,
  subject,
  timestamp,
  zone,
  rows,
  times,
  why,
  detail,
  old_value,
  new_value,
  origin,
};

/// An array or object as it was written.
void read_written(FieldReader& fields, std::string_view name, char bracket, std::string_view& out) {
  ingest::JsonReader& json = fields.json();
  if (json.peek() != bracket) {
    fields.wrong_type(name, bracket == '[' ? "an array" : "an object");
    return;
  }
  const char* start = json.position();
  if (json.skip_value()) out = json.since(start);
}

std::string_view& text_of(EntryView& entry, std::size_t field) noexcept {
  switch (field) {
    case who:
      return entry.who;
    case what:
      return entry.what;
    case outcome:
      return entry.outcome;
    case target:
      return entry.target;
    case study:
      return entry.study;
    case site:
      return entry.site;
    case subject:
      return entry.subject;
    case zone:
      return entry.zone;
    case why:
      return entry.why;
    case old_value:
      return entry.old_value;
    case new_value:
      return entry.new_value;
    default:
      return entry.origin;
  }
}

bool read_entry(ingest::JsonReader& reader, ingest::DecodeContext& context, EntryView& entry) {
  constexpr ingest::TextLimits any{0, std::numeric_limits<std::size_t>::max(), true};
  constexpr ingest::IntegerLimits count{0, std::numeric_limits<std::int64_t>::max()};
  FieldReader fields(reader, context);
  const bool well_formed = fields.object<names>([&](std::size_t field) {
    const std::string_view name = names[field];
    switch (field) {
      case roles:
        return read_written(fields, name, '[', entry.roles);
      case detail:
        return read_written(fields, name, '{', entry.detail);
      case rows:
        static_cast<void>(fields.integer(name, count, entry.rows));
        return;
      case times:
        static_cast<void>(fields.integer(name, count, entry.times));
        return;
      case timestamp: {
        ZonedInstant instant;
        static_cast<void>(fields.instant(name, entry.timestamp, instant));
        entry.at_ns = instant.unix_ns;
        return;
      }
      default:
        static_cast<void>(fields.text(name, any, text_of(entry, field)));
    }
  });
  if (!well_formed) return false;
  if (entry.what.empty()) context.errors.add("what", Rule::required, "is required");
  if (entry.timestamp.empty()) context.errors.add("timestamp", Rule::required, "is required");
  return true;
}

}  // namespace

Result<EntryView> EntryReader::read(const journal::Record& record) {
  EntryView entry;
  auto read = reader_.read(record, "audit entry",
                           [&](ingest::JsonReader& reader, ingest::DecodeContext& context) {
                             return read_entry(reader, context, entry);
                           });
  if (!read) return std::unexpected(read.error());
  return entry;
}

}  // namespace trialwire::audit
