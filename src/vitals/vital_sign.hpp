// SPDX-License-Identifier: Apache-2.0
// One measurement of one device as a value. Intake validates by it; a sink gets it back from the
// journal's bytes. All text borrows from the decoded bytes or from the scratch memory that they
// were decoded with.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ingest/field_reader.hpp"
#include "ingest/plausible_time.hpp"
#include "vitals/vital.hpp"

namespace trialwire::vitals {

/// Bits of RecordAttributes::flags of a vital_sign. Stored: bits are never reused.
enum VitalFlag : std::uint8_t {
  timestamp_in_future = ingest::flag_timestamp_in_future,
  timestamp_in_past = ingest::flag_timestamp_in_past,
  unattributed = ingest::flag_unattributed,  // no patient is named
  unusual_value = 8,                         // see VitalSign::unusual
  timestamp_unit_assumed = 16,               // the number told another unit than milliseconds
};

/// A value as it was sent: the number's text and the unit that it is in.
struct Collected {
  std::string_view number;
  std::string_view unit;  // null: that of the contract
};

struct VitalSign {
  std::string_view device_id;
  ingest::Moment timestamp;
  std::array<std::optional<double>, vital_count> values;  // in the contract's units
  std::array<Collected, vital_count> collected;
  std::string_view patient_id;  // empty: none was named
  std::string_view trial_id;    // likewise
  std::optional<std::string_view> position;
  std::optional<std::int64_t> sequence;  // the device's own counter
  std::uint32_t unknown_fields = 0;      // kept in the original, not part of this value

  const std::optional<double>& value(Vital vital) const noexcept {
    return values[static_cast<std::size_t>(vital)];
  }
  /// Is this value given, possible, and outside of the usual range?
  bool unusual(std::size_t vital) const noexcept;
  bool any_unusual() const noexcept;
};

}  // namespace trialwire::vitals
