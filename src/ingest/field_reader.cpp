// SPDX-License-Identifier: Apache-2.0
#include "ingest/field_reader.hpp"

#include <optional>

#include "ingest/plausible_time.hpp"

namespace trialwire::ingest {

bool FieldReader::null_value() noexcept {
  return reader_.peek() == 'n' && reader_.literal();
}

void FieldReader::repeated(std::string_view field) {
  context_.errors.add(field, Rule::duplicate, "must be given only once");
  reader_.skip_value();
}

/// The name is the sender's own text: an answer gives its position instead.
void FieldReader::unknown(std::string_view name, std::uint32_t position) {
  ++unknown_;
  FieldErrors& errors = context_.errors;
  if (position > context_.object_fields_max) {
    if (position == context_.object_fields_max + 1) {
      errors.add({}, Rule::length, "must have at most {} fields", context_.object_fields_max);
    }
  } else if (!context_.unknown_names.insert(name)) {
    errors.add({}, Rule::duplicate, "field {} repeats the name of an earlier one", position);
  } else if (context_.unknown_fields == UnknownFields::refuse) {
    errors.add({}, Rule::unknown, "field {} is not one of this record's", position);
  } else if (context_.nested_names != nullptr) {
    return unknown_value(position);
  }
  reader_.skip_value();
}

void FieldReader::unknown_value(std::uint32_t position) {
  const UnknownValue value =
      pass_over(reader_, *context_.nested_names, context_.scratch, context_.object_fields_max);
  if (reader_.failed()) return;
  if (value.repeats) {
    context_.errors.add({}, Rule::duplicate, "an object within field {} repeats a name", position);
  }
  if (value.too_many) {
    context_.errors.add({}, Rule::length, "an object within field {} must have at most {} fields",
                        position, context_.object_fields_max);
  }
}

bool FieldReader::odd_item_text(std::string_view field, std::size_t item, const JsonString& written,
                                std::size_t bytes_max) {
  if (written.raw.size() > bytes_max && decoded_bytes(written) > bytes_max) {
    context_.errors.add(field, Rule::length, "item {} must be at most {} bytes", item, bytes_max);
    return false;
  }
  if (written.escaped && context_.nested_names != nullptr && has_nul_escape(written.raw)) {
    context_.errors.add(field, Rule::format, "item {} must not contain the character U+0000", item);
    return false;
  }
  return true;
}

FieldOutcome FieldReader::wrong_type(std::string_view field, std::string_view expected) {
  if (!reader_.skip_value()) return FieldOutcome::error;
  context_.errors.add(field, Rule::type, "must be {}", expected);
  return FieldOutcome::error;
}

/// Of what is short enough in bytes the characters need not be counted.
bool FieldReader::fits(const JsonString& written, const TextLimits& limits) {
  constexpr std::size_t character_bytes_max = 4;
  std::size_t bytes = decoded_bytes(written);
  if (bytes <= limits.max) [[likely]]
    return bytes >= limits.min;
  if (limits.lines || bytes / character_bytes_max > limits.max) return false;
  return count_characters(decode(written, context_.scratch)) <= limits.max;
}

FieldOutcome FieldReader::text(std::string_view field, const TextLimits& limits,
                               std::string_view& out) {
  if (reader_.peek() != '"') {
    if (null_value()) return FieldOutcome::absent;
    return wrong_type(field, "a string");
  }
  JsonString written = reader_.string();
  if (!written) return FieldOutcome::error;
  last_raw_ = written.raw;
  if (!fits(written, limits)) {
    std::string_view unit = limits.lines ? "bytes" : "characters";
    if (limits.min == 0) {
      context_.errors.add(field, Rule::length, "must be at most {} {}", limits.max, unit);
    } else {
      context_.errors.add(field, Rule::length, "must be {} to {} {}", limits.min, limits.max, unit);
    }
    return FieldOutcome::error;
  }
  out = decode(written, context_.scratch);
  // Raw control characters are malformed JSON; only escapes and the two-byte ones are left.
  bool refused = limits.lines ? written.escaped && out.find('\0') != std::string_view::npos
                              : !written.plain && has_control_character(out);
  if (refused) {
    context_.errors.add(field, Rule::format, "must not contain {}",
                        limits.lines ? "the character U+0000" : "control characters");
    return FieldOutcome::error;
  }
  return FieldOutcome::value;
}

FieldOutcome FieldReader::integer(std::string_view field, IntegerLimits limits, std::int64_t& out) {
  char c = reader_.peek();
  auto refuse = [&](Rule rule) {
    context_.errors.add(field, rule, "must be an integer from {} to {}", limits.min, limits.max);
    return FieldOutcome::error;
  };
  if (c != '-' && (c < '0' || c > '9')) {
    if (null_value()) return FieldOutcome::absent;
    if (reader_.failed() || !reader_.skip_value()) return FieldOutcome::error;
    return refuse(Rule::type);
  }
  std::string_view written = reader_.number();
  if (written.data() == nullptr) return FieldOutcome::error;
  IntegerForm form = parse_integer(written, out);
  if (form == IntegerForm::fraction) return refuse(Rule::type);
  if (form == IntegerForm::out_of_range || out < limits.min || out > limits.max) {
    return refuse(Rule::range);
  }
  return FieldOutcome::value;
}

FieldOutcome FieldReader::real(std::string_view field, std::string_view& written, double& out) {
  char c = reader_.peek();
  if (c != '-' && (c < '0' || c > '9')) {
    if (null_value()) return FieldOutcome::absent;
    return wrong_type(field, "a number");
  }
  written = reader_.number();
  if (written.data() == nullptr) return FieldOutcome::error;
  auto value = parse_real(written);
  if (!value) {
    context_.errors.add(field, Rule::range, "must be a number that a double can hold");
    return FieldOutcome::error;
  }
  out = *value;
  return FieldOutcome::value;
}

FieldOutcome FieldReader::moment(std::string_view field, Moment& out) {
  constexpr std::string_view expected =
      "milliseconds since 1970, a whole number, or an RFC 3339 date and time with offset";
  char c = reader_.peek();
  if (c == '"') return instant(field, out.text, out.instant);
  if (c != '-' && (c < '0' || c > '9')) {
    if (null_value()) return FieldOutcome::absent;
    return wrong_type(field, expected);
  }
  std::string_view written = reader_.number();
  if (written.data() == nullptr) return FieldOutcome::error;
  std::int64_t number = 0;
  IntegerForm form = parse_integer(written, number);
  if (form == IntegerForm::fraction) {
    context_.errors.add(field, Rule::type, "must be {}", expected);
    return FieldOutcome::error;
  }
  std::optional<NumberedInstant> at;
  if (form == IntegerForm::integer) at = instant_of_number(number);
  if (!at) {
    context_.errors.add(field, Rule::range, "must be in the years {} to {}", rfc3339_year_min,
                        rfc3339_year_max);
    return FieldOutcome::error;
  }
  out = {{}, {at->unix_ns, 0}, !at->milliseconds};
  return FieldOutcome::value;
}

FieldOutcome FieldReader::instant(std::string_view field, std::string_view& text,
                                  ZonedInstant& out) {
  if (reader_.peek() != '"') {
    if (null_value()) return FieldOutcome::absent;
    return wrong_type(field, "an RFC 3339 date and time with offset, as a string");
  }
  JsonString written = reader_.string();
  if (!written) return FieldOutcome::error;
  text = decode(written, context_.scratch);
  auto instant = parse_rfc3339(text);
  if (!instant) {
    if (rfc3339_year_out_of_range(text)) {
      context_.errors.add(field, Rule::range, "must be in the years {} to {}", rfc3339_year_min,
                          rfc3339_year_max);
    } else {
      context_.errors.add(field, Rule::format, "must be an RFC 3339 date and time with offset");
    }
    return FieldOutcome::error;
  }
  out = *instant;
  return FieldOutcome::value;
}

}  // namespace trialwire::ingest
