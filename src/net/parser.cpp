// SPDX-License-Identifier: Apache-2.0
#include "net/parser.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bytes.hpp"
#include "net/char_class.hpp"
#include "net/framing.hpp"
#include "net/request_timeout.hpp"

namespace trialwire::net {
namespace {

bool is_control(char c) noexcept {
  auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && u != '\t') || u == 0x7f;
}

/// First control character other than HTAB; `end` when there is none. It ends a field value.
const char* find_control(const char* p, const char* end) noexcept {
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  while (end - p >= 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    __m128i hit =
        _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low), _mm_cmpeq_epi8(bytes, del));
    auto mask = static_cast<unsigned>(_mm_movemask_epi8(hit));
    if (mask != 0) return p + std::countr_zero(mask);
    p += 16;
  }
  while (p < end && !is_control(*p)) ++p;
  return p;
}

class Parser {
 public:
  Parser(std::string_view input, const HeadLimits& limits, RequestHead& head,
         Refusal& refusal) noexcept
      : begin_(input.data()),
        end_(begin_ + std::min(input.size(), limits.head_bytes_max)),
        p_(begin_),
        limits_(limits),
        head_(head),
        refusal_(refusal) {}

  ParseState parse() noexcept {
    head_.field_count = 0;
    head_.known = {};
    head_.present = 0;
    head_.repeated = 0;
    head_.host = {};
    head_.has_timeout = false;
    ParseState state = request_line();
    if (state != ParseState::complete) return state;
    for (;;) {
      line_ = p_;
      if (p_ == end_) return incomplete();
      if (*p_ == '\r') break;
      state = header_line();
      if (state != ParseState::complete) return state;
    }
    if (end_ - p_ < 2) return incomplete();
    if (p_[1] != '\n') return refuse(400, "a CR is not followed by LF");
    head_.bytes = static_cast<std::size_t>(p_ + 2 - begin_);
    if (Refusal found = check_framing(head_); found.status != 0) {
      refusal_ = found;
      return ParseState::refused;
    }
    return ParseState::complete;
  }

 private:
  ParseState refuse(Status status, std::string_view text) noexcept {
    // Only a complete line is judged, and only within its limit: the outcome must not depend on
    // how the bytes were cut.
    auto span = static_cast<std::size_t>(end_ - line_);
    if (!past_request_line_) span = std::min(span, limits_.request_line_bytes_max);
    if (std::memchr(line_, '\n', span) == nullptr) return incomplete();
    refusal_ = {status, text};
    return ParseState::refused;
  }

  /// More bytes are needed; without room for them the head is too long.
  ParseState incomplete() noexcept {
    auto have = static_cast<std::size_t>(end_ - begin_);
    auto line_bytes = static_cast<std::size_t>(end_ - line_);
    if (!past_request_line_ &&
        (line_bytes >= limits_.request_line_bytes_max || have >= limits_.head_bytes_max)) {
      refusal_ = {414, "the request line is too long"};
      return ParseState::refused;
    }
    if (have >= limits_.head_bytes_max) {
      refusal_ = {431, "the request head is too long"};
      return ParseState::refused;
    }
    return ParseState::incomplete;
  }

  ParseState request_line() noexcept;
  ParseState header_line() noexcept;

  const char* begin_;
  const char* end_;
  const char* p_;
  const char* line_ = begin_;
  bool past_request_line_ = false;
  const HeadLimits& limits_;
  RequestHead& head_;
  Refusal& refusal_;
};

ParseState Parser::request_line() noexcept {
  // One empty line before the request line is let pass: old clients send it after a body.
  if (end_ - p_ >= 2 && p_[0] == '\r' && p_[1] == '\n') p_ += 2;
  line_ = p_;
  const char* method = p_;
  p_ = token_chars.skip(p_, end_);
  if (p_ == end_) return incomplete();
  if (p_ == method || *p_ != ' ') {
    if (p_ == method && *p_ == '\r' && end_ - p_ == 1) return incomplete();
    return refuse(400, "the request line is malformed");
  }
  head_.method_text = {method, static_cast<std::size_t>(p_ - method)};
  const char* target = ++p_;
  p_ = plain_target_chars.skip(p_, end_);
  const char* plain_end = p_;
  if (p_ < end_ && *p_ != ' ') p_ = target_chars.skip(p_, end_);
  if (p_ == end_) return incomplete();
  if (p_ == target || *p_ != ' ') return refuse(400, "the request target is malformed");
  std::string_view target_text(target, static_cast<std::size_t>(p_ - target));
  bool plain = p_ == plain_end;
  ++p_;
  constexpr std::size_t version_bytes = 10;  // "HTTP/1.1\r\n"
  if (static_cast<std::size_t>(end_ - p_) < version_bytes)
    return refuse(400, "the request line is malformed");
  auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (std::memcmp(p_, "HTTP/", 5) != 0 || !is_digit(p_[5]) || p_[6] != '.' || !is_digit(p_[7]) ||
      p_[8] != '\r' || p_[9] != '\n')
    return refuse(400, "the request line is malformed");
  if (static_cast<std::size_t>(p_ + version_bytes - line_) > limits_.request_line_bytes_max) {
    refusal_ = {414, "the request line is too long"};
    return ParseState::refused;
  }
  if (p_[5] != '1') return refuse(505, "only HTTP/1 is spoken here");
  // A higher minor version is the highest known one with something more (RFC 9110, 2.5).
  head_.minor_version = p_[7] == '0' ? 0 : 1;
  p_ += version_bytes;
  if (Refusal found = split_target(target_text, plain, head_); found.status != 0) {
    refusal_ = found;
    return ParseState::refused;
  }
  past_request_line_ = true;
  return ParseState::complete;
}

ParseState Parser::header_line() noexcept {
  const char* name = p_;
  p_ = token_chars.skip(p_, end_);
  if (p_ == end_) return incomplete();
  if (*p_ != ':' || p_ == name) {
    if (p_ == name && (*p_ == ' ' || *p_ == '\t'))
      return refuse(400, "a header is folded over lines");
    if (*p_ == ' ' || *p_ == '\t') return refuse(400, "white space stands before a header's colon");
    return refuse(400, "a header line is malformed");
  }
  std::string_view name_text(name, static_cast<std::size_t>(p_ - name));
  ++p_;
  while (p_ < end_ && (*p_ == ' ' || *p_ == '\t')) ++p_;
  const char* value = p_;
  p_ = find_control(p_, end_);
  if (end_ - p_ < 2) {
    if (p_ == end_ || *p_ == '\r') return incomplete();
    return refuse(400, "a header holds a control character");
  }
  if (*p_ == '\n') return refuse(400, "a line ends in a bare LF");
  if (*p_ != '\r') return refuse(400, "a header holds a control character");
  if (p_[1] != '\n') return refuse(400, "a CR is not followed by LF");
  const char* value_end = p_;
  while (value_end > value && (value_end[-1] == ' ' || value_end[-1] == '\t')) --value_end;
  if (head_.field_count == request_headers_max) {
    refusal_ = {431, "there are too many headers"};
    return ParseState::refused;
  }
  head_.fields[head_.field_count++] = {name_text,
                                       {value, static_cast<std::size_t>(value_end - value)}};
  if (auto known = known_header(name_text)) {
    std::uint16_t bit = RequestHead::bit(*known);
    if ((head_.present & bit) == 0) {
      head_.present |= bit;
      head_.known[static_cast<std::size_t>(*known)] = static_cast<std::uint8_t>(head_.field_count);
    } else {
      head_.repeated |= bit;
    }
  } else if (equal_ignoring_case(name_text, request_timeout_header)) {
    head_.timeout_ms =
        head_.has_timeout ? 0 : request_timeout_ms(head_.fields[head_.field_count - 1].value);
    head_.has_timeout = true;
  }
  p_ += 2;
  return ParseState::complete;
}

}  // namespace

bool is_token_char(char c) noexcept {
  return token_chars.has(c);
}

ParseState parse_head(std::string_view input, const HeadLimits& limits, RequestHead& head,
                      Refusal& refusal) noexcept {
  return Parser(input, limits, head, refusal).parse();
}

}  // namespace trialwire::net
