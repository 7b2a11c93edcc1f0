// SPDX-License-Identifier: Apache-2.0
#include "ingest/json_reader.hpp"

namespace trialwire::ingest {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// The value of four hexadecimal digits, or -1.
int hex4(const char* at) noexcept {
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    char c = at[i];
    char lower = static_cast<char>(c | 0x20);
    int digit = is_digit(c) ? c - '0' : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

}  // namespace

std::string_view describe(JsonFault fault) noexcept {
  switch (fault) {
    case JsonFault::none: return "no fault";
    case JsonFault::end: return "it ends too early";
    case JsonFault::character: return "unexpected character";
    case JsonFault::control: return "control character in a string";
    case JsonFault::escape: return "invalid escape in a string";
    case JsonFault::surrogate: return "half of a surrogate pair in a string";
    case JsonFault::number: return "invalid number";
    case JsonFault::literal: return "invalid literal";
    case JsonFault::depth: return "nested too deeply";
    case JsonFault::trailing: return "text after the end";
  }
  return "invalid";
}

bool JsonReader::skip_escape() noexcept {
  if (end_ - at_ < 2) return fail(JsonFault::end);
  switch (at_[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
      at_ += 2;
      return true;
    case 'u': break;
    default: return fail(JsonFault::escape);
  }
  if (end_ - at_ < 6) return fail(JsonFault::end);
  int unit = hex4(at_ + 2);
  if (unit < 0) return fail(JsonFault::escape);
  if (unit >= 0xdc00 && unit <= 0xdfff) return fail(JsonFault::surrogate);
  if (unit < 0xd800 || unit > 0xdbff) {
    at_ += 6;
    return true;
  }
  if (end_ - at_ < 12 || at_[6] != '\\' || at_[7] != 'u') return fail(JsonFault::surrogate);
  int low = hex4(at_ + 8);
  if (low < 0xdc00 || low > 0xdfff) return fail(JsonFault::surrogate);
  at_ += 12;
  return true;
}

bool JsonReader::number(std::string_view& out) noexcept {
  const char* start = at_;
  const char* at = at_;
  auto digits = [&] {
    const char* first = at;
    while (at < end_ && is_digit(*at)) ++at;
    return at - first;
  };
  if (at < end_ && *at == '-') ++at;
  bool leading_zero = at < end_ && *at == '0';
  auto whole = digits();
  bool valid = whole == 1 || (whole > 1 && !leading_zero);
  if (valid && at < end_ && *at == '.') {
    ++at;
    valid = digits() > 0;
  }
  if (valid && at < end_ && (*at | 0x20) == 'e') {
    ++at;
    if (at < end_ && (*at == '+' || *at == '-')) ++at;
    valid = digits() > 0;
  }
  at_ = at;
  if (!valid) return fail(JsonFault::number);
  out = since(start);
  return true;
}

bool JsonReader::literal() noexcept {
  std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
  for (std::string_view word : {std::string_view("true"), std::string_view("false"),
                                std::string_view("null")}) {
    if (!rest.starts_with(word)) continue;
    at_ += word.size();
    return true;
  }
  return fail(JsonFault::literal);
}

bool JsonReader::skip_value() noexcept {
  char c = peek();
  if (c == '"') {
    JsonString ignored;
    return string(ignored);
  }
  if (c == '-' || is_digit(c)) {
    std::string_view ignored;
    return number(ignored);
  }
  if (c == '{' || c == '[') return open(c) && skip_container(c == '{' ? '}' : ']');
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return literal();
  return unexpected();
}

bool JsonReader::skip_container(char close) noexcept {
  bool first = true;
  JsonString name;
  while (close == '}' ? next_member(name, first) : next_element(first)) {
    if (!skip_value()) return false;
  }
  return !failed();
}

}  // namespace trialwire::ingest
