// SPDX-License-Identifier: Apache-2.0
#include "ingest/plausible_time.hpp"

#include <limits>

namespace trialwire::ingest {

std::uint8_t time_flags(std::int64_t instant_ns, std::int64_t received_ns,
                        const TimeTolerance& tolerance) noexcept {
  using std::chrono::nanoseconds;
  std::int64_t ahead_ns = 0;
  // Both ends of the range that 64 bits of nanoseconds hold: the difference may not fit.
  if (__builtin_sub_overflow(instant_ns, received_ns, &ahead_ns)) {
    ahead_ns = instant_ns > received_ns ? std::numeric_limits<std::int64_t>::max()
                                        : std::numeric_limits<std::int64_t>::min();
  }
  if (ahead_ns > nanoseconds(tolerance.future).count()) return flag_timestamp_in_future;
  if (ahead_ns < -nanoseconds(tolerance.past).count()) return flag_timestamp_in_past;
  return 0;
}

std::optional<NumberedInstant> instant_of_number(std::int64_t number) noexcept {
  constexpr std::int64_t year_2000 = 946'684'800, year_2100 = 4'102'444'800;
  constexpr std::int64_t ns_per_second = 1'000'000'000, ns_per_ms = 1'000'000;
  for (std::int64_t per_second : {std::int64_t{1}, std::int64_t{1'000'000}, ns_per_second}) {
    if (number < year_2000 * per_second || number >= year_2100 * per_second) continue;
    return NumberedInstant{number * (ns_per_second / per_second), false};
  }
  NumberedInstant instant;
  if (__builtin_mul_overflow(number, ns_per_ms, &instant.unix_ns)) return std::nullopt;
  return instant;
}

}  // namespace trialwire::ingest
