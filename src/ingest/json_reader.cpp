// SPDX-License-Identifier: Apache-2.0
#include "ingest/json_reader.hpp"

#include <array>
#include <cstring>

namespace trialwire::ingest {
namespace {

/// The value of four hexadecimal digits, or -1.
int hex4(const char* at) noexcept {
  int value = 0;
  for (int i = 0; i < 4; ++i) {
    char c = at[i];
    char lower = static_cast<char>(c | 0x20);
    int digit = c >= '0' && c <= '9'           ? c - '0'
                : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                               : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

}  // namespace

std::string_view describe(JsonFault fault) noexcept {
  switch (fault) {
    case JsonFault::none:
      return "no fault";
    case JsonFault::end:
      return "it ends too early";
    case JsonFault::character:
      return "unexpected character";
    case JsonFault::control:
      return "control character in a string";
    case JsonFault::escape:
      return "invalid escape in a string";
    case JsonFault::surrogate:
      return "half of a surrogate pair in a string";
    case JsonFault::number:
      return "invalid number";
    case JsonFault::literal:
      return "invalid literal";
    case JsonFault::depth:
      return "nested too deeply";
    case JsonFault::trailing:
      return "text after the end";
  }
  return "invalid";
}

void JsonReader::load_last_block() noexcept {
  // NUL is a control character: a search stops there, at or beyond the end.
  std::array<char, block_bytes> copy{};
  if (readable_ > block_) {
    std::memcpy(copy.data(), block_, static_cast<std::size_t>(readable_ - block_));
  }
  classify(copy.data());
}

JsonReader::Scan JsonReader::scan_on(const char* at) noexcept {
  bool plain = true;
  while (at < end_) {
    auto offset = static_cast<std::size_t>(at - block_);
    if (offset >= block_bytes) {
      // Ahead, or back: a member that was not written as the short way expects is read again.
      offset = static_cast<std::size_t>(at - begin_) % block_bytes;
      block_ = at - offset;
      load_block();
    }
    std::uint64_t found = special_ >> offset;
    if (found != 0) {
      std::uint64_t before = (found & (0 - found)) - 1;
      return {at + std::countr_zero(found), plain && (odd_ >> offset & before) == 0};
    }
    plain = plain && odd_ >> offset == 0;
    at = block_ + block_bytes;
  }
  return {end_, plain};
}

bool JsonReader::skip_escape() noexcept {
  if (end_ - at_ < 2) return fail(JsonFault::end);
  switch (at_[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      at_ += 2;
      return true;
    case 'u':
      break;
    default:
      return fail(JsonFault::escape);
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

JsonString JsonReader::next_spaced_member(bool& first) noexcept {
  if (!next('}', first)) return {};
  JsonString name;
  if (peek() != '"') {
    unexpected();
  } else if ((name = string())) {
    if (peek() != ':') {
      unexpected();
      return {};
    }
    ++at_;
    peek();
  }
  return name;
}

JsonString JsonReader::long_string(const char* at) noexcept {
  const char* start = at_ + 1;
  bool escaped = false;
  while (true) {
    at_ = at;
    if (at_ >= end_) {
      at_ = end_;
      fail(JsonFault::end);
      return {};
    }
    if (*at_ == '"') break;
    if (*at_ != '\\') {
      fail(JsonFault::control);
      return {};
    }
    escaped = true;
    if (!skip_escape()) return {};
    at = scan_string(at_).stop;
  }
  JsonString result{since(start), escaped, false};
  ++at_;
  return result;
}

std::string_view JsonReader::long_number() noexcept {
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
  if (valid) return since(start);
  fail(JsonFault::number);
  return {};
}

bool JsonReader::literal() noexcept {
  std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
  for (std::string_view word :
       {std::string_view("true"), std::string_view("false"), std::string_view("null")}) {
    if (!rest.starts_with(word)) continue;
    at_ += word.size();
    return true;
  }
  return fail(JsonFault::literal);
}

bool JsonReader::skip_value() noexcept {
  char c = peek();
  if (c == '"') return static_cast<bool>(string());
  if (c == '-' || is_digit(c)) return number().data() != nullptr;
  if (c == '{' || c == '[') return open(c) && skip_container(c == '{' ? '}' : ']');
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return literal();
  return unexpected();
}

bool JsonReader::skip_container(char close) noexcept {
  bool first = true;
  while (close == '}' ? static_cast<bool>(next_member(first)) : next_element(first)) {
    if (!skip_value()) return false;
  }
  return !failed();
}

}  // namespace trialwire::ingest
