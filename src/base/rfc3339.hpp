// SPDX-License-Identifier: Apache-2.0
// Times as text. Parsing is strict RFC 3339; formatting always gives UTC.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trialwire {

struct ZonedInstant {
  std::int64_t unix_ns = 0;         // since 1970-01-01T00:00:00Z
  std::int16_t offset_minutes = 0;  // of the sender's clock from UTC
};

// Years of the sender's clock whose every instant 64-bit nanoseconds hold.
constexpr int rfc3339_year_min = 1678;
constexpr int rfc3339_year_max = 2261;

/// "2026-03-01T08:15:30.25+01:00": date, 'T' or 't', time, optional fraction of any number of
/// digits (cut off after the ninth), 'Z', 'z' or ±hh:mm. Second 60 is accepted where a leap second
/// can be (23:59:60 UTC) and is the next second. Nothing may follow.
std::optional<ZonedInstant> parse_rfc3339(std::string_view text) noexcept;
/// Was `text` refused for nothing but its year?
bool rfc3339_year_out_of_range(std::string_view text) noexcept;

/// A time that `parse_rfc3339` took, of at most 35 characters: where it is longer, what is finer
/// than a nanosecond is cut off, in `buffer`.
constexpr std::size_t rfc3339_text_max = 35;
std::string_view bounded_rfc3339(std::string_view text,
                                 std::array<char, rfc3339_text_max>& buffer) noexcept;

/// "2026-03-01T07:15:30.250Z"; milliseconds.
std::string format_rfc3339_ms(std::int64_t unix_ns);
/// Writes exactly 24 characters.
void write_rfc3339_ms(std::int64_t unix_ns, char* to) noexcept;

}  // namespace trialwire
