// SPDX-License-Identifier: Apache-2.0
// A record's own time against that of its receipt, and times given as numbers. Pure functions.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>

namespace trialwire::ingest {

/// Bits of RecordAttributes::flags that mean the same in every kind of record. Stored: bits are
/// never reused. A flagged record is stored like any other; nothing is dropped for its time.
enum RecordFlag : std::uint8_t {
  flag_timestamp_in_future = 1,  // of receipt, beyond the tolerance
  flag_timestamp_in_past = 2,    // likewise
  flag_unattributed = 4,         // whose it is, or of which study, is not known
};

/// Clinical conventions: more than 5 minutes ahead or 30 days behind is flagged, never refused.
struct TimeTolerance {
  std::chrono::seconds future = std::chrono::minutes(5);
  std::chrono::seconds past = std::chrono::days(30);
};

/// flag_timestamp_in_future, flag_timestamp_in_past or none.
std::uint8_t time_flags(std::int64_t instant_ns, std::int64_t received_ns,
                        const TimeTolerance& tolerance) noexcept;

/// A time sent as a number. By contract it is milliseconds since the Unix epoch; some devices count
/// seconds, microseconds or nanoseconds. The years 2000 to 2099 in one unit are not a year near
/// them in any other, so that a number there tells its unit:
///   seconds       946,684,800 … 4,102,444,799
///   milliseconds  the same × 10^3, microseconds × 10^6, nanoseconds × 10^9
/// All else is milliseconds: a device that has lost its clock is at 1970, stored and flagged.
struct NumberedInstant {
  std::int64_t unix_ns = 0;
  bool milliseconds = true;  // false: the number told another unit
};
/// Nothing, when 64 bits of nanoseconds do not hold it.
std::optional<NumberedInstant> instant_of_number(std::int64_t number) noexcept;

}  // namespace trialwire::ingest
