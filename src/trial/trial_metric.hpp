// SPDX-License-Identifier: Apache-2.0
// One metric of a study at a site, as a value. Intake validates by it; a sink gets it back from the
// journal's bytes. All text borrows from the decoded bytes or from the scratch memory that they
// were decoded with.
#pragma once
#include <cstdint>
#include <string_view>

#include "ingest/field_reader.hpp"
#include "ingest/plausible_time.hpp"

namespace trialwire::trial {

/// Bits of RecordAttributes::flags of a trial_metric. Stored: bits are never reused.
enum MetricFlag : std::uint8_t {
  timestamp_in_future = ingest::flag_timestamp_in_future,
  timestamp_in_past = ingest::flag_timestamp_in_past,
  timestamp_unit_assumed = 16,  // the number told another unit than milliseconds
};

struct TrialMetric {
  std::string_view metric_id;
  std::string_view study_id;
  std::string_view site_id;
  double value = 0;
  ingest::Moment timestamp;          // where none was sent: the time of receipt, UTC
  std::string_view annotations;      // the JSON array as sent, "[…]"; empty: none
  std::uint32_t unknown_fields = 0;  // kept in the original, not part of this value
};

}  // namespace trialwire::trial
