// SPDX-License-Identifier: Apache-2.0
// A patient's report as a value. Intake validates by it; a sink gets it back from the journal's
// bytes. All text borrows from the decoded bytes or from the Scratch, and is valid until either
// goes away or the Scratch is used again.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.hpp"
#include "base/rfc3339.hpp"
#include "ingest/plausible_time.hpp"
#include "ingest/scratch.hpp"
#include "journal/record.hpp"

namespace trialwire::epro {

/// Bits of RecordAttributes::flags of an epro_report. Stored: bits are never reused.
/// A flagged report is stored like any other; nothing is dropped for its time.
enum ReportFlag : std::uint8_t {
  // More than 5 minutes after receipt, more than 30 days before it.
  timestamp_in_future = ingest::flag_timestamp_in_future,
  timestamp_in_past = ingest::flag_timestamp_in_past,
  unattributed = ingest::flag_unattributed,  // an older client's report: its trial is not known
};

struct PatientReport {
  std::string_view patient_id;
  std::string_view trial_id;        // empty only in an older client's report (unattributed)
  std::string_view timestamp_text;  // as the sender wrote it; empty in an older client's report
  ZonedInstant timestamp;           // of an older client's report: the time of receipt, UTC
  std::optional<std::int32_t> qol_score;  // absent only in an older client's report

  // Optional fields; null in the JSON means absent, an empty string is a value.
  std::optional<std::string_view> comments;
  std::optional<std::string_view> site_id;
  std::optional<std::string_view> report_id;
  std::optional<std::string_view> instrument;  // "legacy" in an older client's report
  std::optional<std::string_view> instrument_version;
  std::optional<std::string_view> visit_id;
  std::string_view answers;  // the JSON object as sent, "{…}"; empty: none

  std::uint32_t unknown_fields = 0;  // kept in the original, not part of this value
};

/// The report that a journal record (kind epro_report) holds, of content type json or json_legacy.
/// Checks form, not limits: a limit that was lowered since does not make a stored report invalid.
/// Errors: corrupt, when the bytes are not such a report; the text holds no patient data. A sink
/// treats that as a record that can never succeed.
Result<PatientReport> decode_stored(const journal::Record& record, ingest::Scratch& scratch);

}  // namespace trialwire::epro
