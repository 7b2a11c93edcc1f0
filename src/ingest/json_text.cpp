// SPDX-License-Identifier: Apache-2.0
#include "ingest/json_text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include "base/check.hpp"

namespace trialwire::ingest {
namespace {

std::uint32_t hex4(const char* at) noexcept {
  std::uint32_t value = 0;
  std::from_chars(at, at + 4, value, 16);
  return value;
}

struct Escape {
  std::uint32_t code_point = 0;
  std::size_t characters = 2;  // as written
};

/// `at` is the backslash of a well-formed escape.
Escape read_escape(const char* at) noexcept {
  switch (at[1]) {
    case 'b':
      return {'\b'};
    case 'f':
      return {'\f'};
    case 'n':
      return {'\n'};
    case 'r':
      return {'\r'};
    case 't':
      return {'\t'};
    case 'u':
      break;
    default:
      return {static_cast<unsigned char>(at[1])};
  }
  std::uint32_t unit = hex4(at + 2);
  if (unit < 0xd800 || unit > 0xdbff) return {unit, 6};
  return {0x10000 + ((unit - 0xd800) << 10) + (hex4(at + 8) - 0xdc00), 12};
}

std::size_t utf8_size(std::uint32_t code_point) noexcept {
  return code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
}

char* write_utf8(std::uint32_t code_point, char* to) noexcept {
  std::size_t size = utf8_size(code_point);
  if (size == 1) {
    *to = static_cast<char>(code_point);
    return to + 1;
  }
  constexpr unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
  for (std::size_t i = size - 1; i > 0; --i, code_point >>= 6) {
    to[i] = static_cast<char>(0x80 | (code_point & 0x3f));
  }
  to[0] = static_cast<char>(lead[size] | code_point);
  return to + size;
}

}  // namespace

std::size_t decoded_bytes_of_escaped(std::string_view raw) noexcept {
  std::size_t bytes = 0;
  for (std::size_t at = 0; at < raw.size();) {
    if (raw[at] != '\\') {
      ++bytes;
      ++at;
      continue;
    }
    Escape escape = read_escape(raw.data() + at);
    bytes += utf8_size(escape.code_point);
    at += escape.characters;
  }
  return bytes;
}

bool has_nul_escape(std::string_view raw) noexcept {
  for (std::size_t at = raw.find('\\'); at != raw.npos; at = raw.find('\\', at)) {
    if (raw.substr(at).starts_with("\\u0000")) return true;
    at += 2;  // of an escaped backslash both
  }
  return false;
}

std::string_view decode_escaped(std::string_view raw, Scratch& scratch) {
  char* start = scratch.reserve(raw.size());
  char* to = start;
  for (std::size_t at = 0; at < raw.size();) {
    if (raw[at] != '\\') {
      *to++ = raw[at++];
      continue;
    }
    Escape escape = read_escape(raw.data() + at);
    to = write_utf8(escape.code_point, to);
    at += escape.characters;
  }
  auto bytes = static_cast<std::size_t>(to - start);
  TW_CHECK(bytes <= raw.size());
  scratch.commit(bytes);
  return {start, bytes};
}

namespace {

constexpr std::int64_t exponent_limit = 100'000'000;  // no text within the body limit reaches it

/// The significant digits of a number and the power of ten that they are multiplied by.
struct Decimal {
  bool negative = false;
  bool too_long = false;  // more than 19 significant digits
  std::uint64_t digits = 0;
  std::int64_t exponent = 0;
};

/// Trailing zeros are held back in `exponent`, so that 70e-1 has the one digit 7.
Decimal read_decimal(std::string_view number) noexcept {
  Decimal result;
  std::int64_t zeros = 0;  // read but not yet known to be significant
  int significant = 0;
  bool after_point = false;
  std::size_t at = 0;
  for (; at < number.size(); ++at) {
    char c = number[at];
    if (c == '-') {
      result.negative = true;
    } else if (c == '.') {
      after_point = true;
    } else if (c == 'e' || c == 'E') {
      break;
    } else {
      result.exponent -= after_point;
      if (c == '0') {
        zeros += result.digits != 0;
        continue;
      }
      significant += static_cast<int>(std::min<std::int64_t>(zeros, 20)) + 1;
      if (significant > 19) {
        result.too_long = true;
        significant = 20;
      } else {
        for (; zeros > 0; --zeros) result.digits *= 10;
        result.digits = result.digits * 10 + static_cast<unsigned>(c - '0');
      }
      zeros = 0;
    }
  }
  result.exponent += zeros;
  if (at == number.size()) return result;
  bool negative = number[++at] == '-';
  at += number[at] == '-' || number[at] == '+';
  std::int64_t exponent = 0;
  for (; at < number.size(); ++at) {
    exponent = std::min(exponent * 10 + (number[at] - '0'), exponent_limit);
  }
  result.exponent += negative ? -exponent : exponent;
  return result;
}

/// Of a number that a double cannot hold, which is far from 1: is it too small, not too large?
bool is_tiny(std::string_view number) noexcept {
  std::size_t mantissa = std::min(number.find_first_of("eE"), number.size());
  std::size_t point = std::min(number.find('.'), mantissa);
  std::size_t digit = number.find_first_of("123456789");
  auto place = static_cast<std::int64_t>(point) - static_cast<std::int64_t>(digit);
  if (mantissa == number.size()) return place < 0;
  std::string_view written = number.substr(mantissa + 1);
  bool negative = written.starts_with('-');
  written.remove_prefix(negative || written.starts_with('+') ? 1 : 0);
  std::int64_t exponent = 0;
  for (char c : written) exponent = std::min(exponent * 10 + (c - '0'), exponent_limit);
  return place + (negative ? -exponent : exponent) < 0;
}

}  // namespace

std::optional<double> parse_real(std::string_view number) noexcept {
  double value = 0;
  auto read = std::from_chars(number.data(), number.data() + number.size(), value);
  if (read.ec == std::errc() && std::isfinite(value)) [[likely]]
    return value;
  if (is_tiny(number)) return 0.0;
  return std::nullopt;
}

IntegerForm parse_long_integer(std::string_view number, std::int64_t& out) noexcept {
  Decimal decimal = read_decimal(number);
  out = 0;
  if (decimal.digits == 0) return IntegerForm::integer;
  if (decimal.exponent < 0) return IntegerForm::fraction;
  if (decimal.too_long || decimal.exponent > 18) return IntegerForm::out_of_range;
  std::uint64_t value = decimal.digits;
  for (std::int64_t i = 0; i < decimal.exponent; ++i) {
    if (__builtin_mul_overflow(value, std::uint64_t{10}, &value)) return IntegerForm::out_of_range;
  }
  std::uint64_t limit = std::uint64_t{1} << 63;
  if (value > limit || (value == limit && !decimal.negative)) return IntegerForm::out_of_range;
  out = static_cast<std::int64_t>(decimal.negative ? 0 - value : value);
  return IntegerForm::integer;
}

std::size_t count_characters(std::string_view text) noexcept {
  auto begins_one = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; };
  return static_cast<std::size_t>(std::ranges::count_if(text, begins_one));
}

bool has_control_character(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7f) return true;
    // U+0080–U+009F are C2 80–C2 9F; a lead byte is never last in valid UTF-8.
    if (c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0) {
      return true;
    }
  }
  return false;
}

void append_escaped(std::string& to, std::string_view text) {
  constexpr char hex[] = "0123456789abcdef";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      to += '\\';
      to += c;
    } else if (byte < 0x20) {
      to += "\\u00";
      to += hex[byte >> 4];
      to += hex[byte & 15];
    } else {
      to += c;
    }
  }
}

void append_number(std::string& to, std::uint64_t value) {
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  to.append(digits, static_cast<std::size_t>(end - digits));
}

}  // namespace trialwire::ingest
