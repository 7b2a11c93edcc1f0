// SPDX-License-Identifier: Apache-2.0
// JSON strings and numbers between their written form and values. Plain functions on text that
// JsonReader has already found to be well-formed.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/json_reader.hpp"
#include "ingest/scratch.hpp"

namespace trialwire::ingest {

/// Bytes of UTF-8 that the string decodes to.
std::size_t decoded_bytes_of_escaped(std::string_view raw) noexcept;
inline std::size_t decoded_bytes(const JsonString& string) noexcept {
  return string.escaped ? decoded_bytes_of_escaped(string.raw) : string.raw.size();
}

/// The string's value: a view of the original when it has no escapes, else decoded into `scratch`.
std::string_view decode_escaped(std::string_view raw, Scratch& scratch);
inline std::string_view decode(const JsonString& string, Scratch& scratch) {
  return string.escaped ? decode_escaped(string.raw, scratch) : string.raw;
}

/// What an integer written as JSON number is. The value decides, not the spelling: 7, 7.0, 7e0,
/// 70e-1 and -0 are integers.
enum class IntegerForm : std::uint8_t { integer, fraction, out_of_range };

/// Exact for any exponent and any number of digits; out_of_range beyond 64 bits with sign.
IntegerForm parse_long_integer(std::string_view number, std::int64_t& out) noexcept;
inline IntegerForm parse_integer(std::string_view number, std::int64_t& out) noexcept {
  if (number.size() != 1) return parse_long_integer(number, out);
  out = number[0] - '0';
  return IntegerForm::integer;
}

/// The double nearest to a JSON number, ties to even, whatever its length; what is nearer to 0 than
/// any other is 0. Nothing beyond the largest double, which 1e400 is.
std::optional<double> parse_real(std::string_view number) noexcept;

/// Characters (code points) of `text`, which is UTF-8.
std::size_t count_characters(std::string_view text) noexcept;

/// Has a control character (Unicode category Cc: U+0000–U+001F, U+007F–U+009F)? `text` is UTF-8.
bool has_control_character(std::string_view text) noexcept;

/// Is one of the escapes of a well-formed string that of U+0000?
bool has_nul_escape(std::string_view raw) noexcept;

/// Appends `text` (UTF-8) as a JSON string without its quotes.
void append_escaped(std::string& to, std::string_view text);
void append_number(std::string& to, std::uint64_t value);

}  // namespace trialwire::ingest
