// SPDX-License-Identifier: Apache-2.0
// One answer to one question of an instrument, as a value. Intake validates by it; a sink gets it
// back from the journal's bytes. All text borrows from the decoded bytes or from the scratch memory
// that they were decoded with.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "ingest/field_reader.hpp"
#include "ingest/plausible_time.hpp"

namespace trialwire::qol {

/// Bits of RecordAttributes::flags of a qol_answer. Stored: bits are never reused.
enum AnswerFlag : std::uint8_t {
  timestamp_in_future = ingest::flag_timestamp_in_future,
  timestamp_in_past = ingest::flag_timestamp_in_past,
  unattributed = ingest::flag_unattributed,  // no study is named
};

struct QolAnswer {
  std::string_view patient_id;
  std::string_view question_id;
  std::int64_t answer = 0;
  ingest::Moment submit_time;
  std::string_view trial_id;  // empty: none was named
  std::optional<std::string_view> instrument;
  std::optional<std::string_view> visit_id;
  std::uint32_t unknown_fields = 0;  // kept in the original, not part of this value
};

}  // namespace trialwire::qol
