// SPDX-License-Identifier: Apache-2.0
#include "base/rfc3339.hpp"

#include <array>
#include <chrono>

namespace trialwire {
namespace {

constexpr std::int64_t ns_per_second = 1'000'000'000;

/// Two decimal digits, or -1.
int two(const char* at) noexcept {
  unsigned high = static_cast<unsigned char>(at[0]) - unsigned{'0'};
  unsigned low = static_cast<unsigned char>(at[1]) - unsigned{'0'};
  return high < 10 && low < 10 ? static_cast<int>(high * 10 + low) : -1;
}

struct Fraction {
  std::int64_t ns = 0;
  std::size_t characters = 0;  // with the point; 0: no fraction, npos: malformed
};

Fraction read_fraction(std::string_view rest) noexcept {
  if (rest.empty() || rest[0] != '.') return {};
  Fraction result{0, 1};
  std::int64_t unit = ns_per_second;
  while (result.characters < rest.size()) {
    unsigned digit = static_cast<unsigned char>(rest[result.characters]) - unsigned{'0'};
    if (digit > 9) break;
    unit /= 10;  // 0 from the tenth digit on: what is finer than a nanosecond is cut off
    result.ns += digit * unit;
    ++result.characters;
  }
  if (result.characters == 1) result.characters = std::string_view::npos;
  return result;
}

std::optional<std::int16_t> read_offset(std::string_view rest) noexcept {
  if (rest.size() == 1 && (rest[0] == 'Z' || rest[0] == 'z')) return std::int16_t{0};
  if (rest.size() != 6 || (rest[0] != '+' && rest[0] != '-') || rest[3] != ':') return std::nullopt;
  int hours = two(rest.data() + 1);
  int minutes = two(rest.data() + 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
  int total = hours * 60 + minutes;
  return static_cast<std::int16_t>(rest[0] == '-' ? -total : total);
}

void put_two(char* to, unsigned value) noexcept {
  to[0] = static_cast<char>('0' + value / 10);
  to[1] = static_cast<char>('0' + value % 10);
}

/// A well-formed time, of any year of four digits.
struct Reading {
  int year = 0;
  std::int64_t seconds = 0;  // since 1970
  std::int64_t ns = 0;
  std::int16_t offset_minutes = 0;
};

std::optional<Reading> read(std::string_view text) noexcept {
  if (text.size() < 20) return std::nullopt;
  const char* at = text.data();
  int century = two(at), year_low = two(at + 2), month = two(at + 5), day = two(at + 8);
  int hour = two(at + 11), minute = two(at + 14), second = two(at + 17);
  if (century < 0 || year_low < 0 || month < 1 || day < 1 || hour < 0 || minute < 0 || second < 0 ||
      at[4] != '-' || at[7] != '-' || (at[10] | 0x20) != 't' || at[13] != ':' || at[16] != ':') {
    return std::nullopt;
  }
  int year = century * 100 + year_low;
  std::chrono::year_month_day date{std::chrono::year(year),
                                   std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;
  Fraction fraction = read_fraction(text.substr(19));
  if (fraction.characters == std::string_view::npos) return std::nullopt;
  auto offset = read_offset(text.substr(19 + fraction.characters));
  if (!offset) return std::nullopt;
  std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  std::int64_t minutes = days * 1440 + hour * 60 + minute - *offset;
  if (second == 60 && ((minutes % 1440) + 1440) % 1440 != 1439) return std::nullopt;
  return Reading{year, minutes * 60 + second, fraction.ns, *offset};
}

bool year_fits(const Reading& reading) noexcept {
  return reading.year >= rfc3339_year_min && reading.year <= rfc3339_year_max;
}

}  // namespace

std::optional<ZonedInstant> parse_rfc3339(std::string_view text) noexcept {
  auto reading = read(text);
  if (!reading || !year_fits(*reading)) return std::nullopt;
  return ZonedInstant{reading->seconds * ns_per_second + reading->ns, reading->offset_minutes};
}

bool rfc3339_year_out_of_range(std::string_view text) noexcept {
  auto reading = read(text);
  return reading && !year_fits(*reading);
}

std::string_view bounded_rfc3339(std::string_view text,
                                 std::array<char, rfc3339_text_max>& buffer) noexcept {
  constexpr std::size_t to_nanosecond = sizeof "2026-03-01T07:15:30.123456789" - 1;
  if (text.size() <= rfc3339_text_max) return text;
  // So long is only a fraction; the first character behind its digits is the offset's.
  std::size_t offset = text.find_first_not_of("0123456789", to_nanosecond);
  if (offset == std::string_view::npos) return text.substr(0, rfc3339_text_max);
  char* to = buffer.data() + text.copy(buffer.data(), to_nanosecond);
  to += text.copy(to, rfc3339_text_max - to_nanosecond, offset);
  return {buffer.data(), static_cast<std::size_t>(to - buffer.data())};
}

void write_rfc3339_ms(std::int64_t unix_ns, char* to) noexcept {
  using namespace std::chrono;
  auto instant = sys_time<milliseconds>(floor<milliseconds>(nanoseconds(unix_ns)));
  auto day = floor<days>(instant);
  year_month_day date(day);
  auto ms = static_cast<unsigned>((instant - day).count());
  auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  put_two(to, year / 100);
  put_two(to + 2, year % 100);
  to[4] = '-';
  put_two(to + 5, static_cast<unsigned>(date.month()));
  to[7] = '-';
  put_two(to + 8, static_cast<unsigned>(date.day()));
  to[10] = 'T';
  put_two(to + 11, ms / 3'600'000);
  to[13] = ':';
  put_two(to + 14, ms / 60'000 % 60);
  to[16] = ':';
  put_two(to + 17, ms / 1'000 % 60);
  to[19] = '.';
  to[20] = static_cast<char>('0' + ms % 1'000 / 100);
  put_two(to + 21, ms % 100);
  to[23] = 'Z';
}

std::string format_rfc3339_ms(std::int64_t unix_ns) {
  std::array<char, 24> buffer;
  write_rfc3339_ms(unix_ns, buffer.data());
  return {buffer.data(), buffer.size()};
}

}  // namespace trialwire
