// SPDX-License-Identifier: Apache-2.0
#include "net/http1_writer.hpp"

#include <time.h>

#include <charconv>
#include <string>

#include "base/check.hpp"
#include "net/char_class.hpp"

namespace trialwire::net {
namespace {

/// Appends without a check: the caller has reserved the room.
char* put(char* to, std::string_view text) noexcept {
  return to + text.copy(to, text.size());
}

/// "HTTP/1.1 200 OK\r\n" of every status, made once.
std::string_view status_line(Status status) {
  struct Lines {
    Lines() {
      for (unsigned i = 0; i < text.size(); ++i) {
        text[i] = "HTTP/1.1 " + std::to_string(i + 100) + ' ';
        text[i] += reason_of(static_cast<Status>(i + 100));
        text[i] += "\r\n";
      }
    }
    std::array<std::string, 500> text;
  };
  static const Lines lines;
  TW_CHECK(status >= 100 && status < 600);
  return lines.text[status - 100U];
}

bool safe_in_header(std::string_view text) noexcept {
  const char* end = text.data() + text.size();
  for (const char* p = printable_chars.skip(text.data(), end); p < end; ++p)
    if (*p == '\r' || *p == '\n' || *p == '\0') return false;
  return true;
}

void append_json_string(ByteBuffer& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  char* p = out.reserve_more(text.size() * 6 + 2);
  char* from = p;
  *p++ = '"';
  for (char c : text) {
    auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      *p++ = '\\';
      *p++ = c;
    } else if (u < 0x20) {
      p = put(p, "\\u00");
      *p++ = hex[u >> 4];
      *p++ = hex[u & 15];
    } else {
      *p++ = c;
    }
  }
  *p++ = '"';
  out.commit(static_cast<std::size_t>(p - from));
}

}  // namespace

std::string_view DateLine::at(std::int64_t unix_ns) noexcept {
  std::int64_t second = unix_ns / 1'000'000'000;
  if (second != second_) {
    constexpr std::string_view days = "SunMonTueWedThuFriSat";
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    second_ = second;
    auto seconds = static_cast<std::time_t>(second);
    std::tm t{};
    gmtime_r(&seconds, &t);
    char* p = put(text_.data(), "Date: ");
    auto two = [&p](int value) {
      *p++ = static_cast<char>('0' + value / 10 % 10);
      *p++ = static_cast<char>('0' + value % 10);
    };
    p = put(p, days.substr(static_cast<std::size_t>(t.tm_wday) * 3, 3));
    p = put(p, ", ");
    two(t.tm_mday);
    *p++ = ' ';
    p = put(p, months.substr(static_cast<std::size_t>(t.tm_mon) * 3, 3));
    *p++ = ' ';
    two((t.tm_year + 1900) / 100);
    two(t.tm_year % 100);
    *p++ = ' ';
    two(t.tm_hour);
    *p++ = ':';
    two(t.tm_min);
    *p++ = ':';
    two(t.tm_sec);
    put(p, " GMT\r\n");
  }
  return {text_.data(), text_.size()};
}

void Http1Writer::begin(const ResponseFraming& framing, std::int64_t unix_ns) noexcept {
  framing_ = framing;
  unix_ns_ = unix_ns;
  begin_ = out_.size();
  stage_ = Stage::idle;
  status_ = 0;
}

void Http1Writer::discard() noexcept {
  out_.truncate(begin_);
  stage_ = Stage::idle;
  status_ = 0;
}

ResponseWriter& Http1Writer::start(Status status) {
  TW_CHECK(stage_ == Stage::idle);
  stage_ = Stage::headers;
  status_ = status;
  std::string_view line = status_line(status);
  std::string_view date = date_.at(unix_ns_);
  const std::size_t bytes = line.size() + date.size() + framing_.lines.size();
  char* p = put(out_.reserve_more(bytes), line);
  p = put(p, date);
  put(p, framing_.lines);
  out_.commit(bytes);
  return *this;
}

ResponseWriter& Http1Writer::header(std::string_view name, std::string_view value) {
  TW_CHECK(stage_ == Stage::headers);
  TW_CHECK(safe_in_header(name) && safe_in_header(value));
  std::size_t bytes = name.size() + value.size() + 4;
  char* p = put(out_.reserve_more(bytes), name);
  p = put(p, ": ");
  p = put(p, value);
  put(p, "\r\n");
  out_.commit(bytes);
  return *this;
}

void Http1Writer::end_of_head(std::size_t content_bytes, std::string_view content_type,
                              bool with_length) {
  char* from = out_.reserve_more(content_type.size() + 128);
  char* p = from;
  if (!content_type.empty()) {
    p = put(p, "Content-Type: ");
    p = put(p, content_type);
    p = put(p, "\r\n");
  }
  if (with_length) {
    p = put(p, "Content-Length: ");
    p = std::to_chars(p, p + 20, content_bytes).ptr;
    p = put(p, "\r\n");
  }
  if (framing_.close) {
    p = put(p, "Connection: close\r\n");
  } else if (framing_.keep_alive_1_0) {
    p = put(p, "Connection: keep-alive\r\n");
  }
  p = put(p, "\r\n");
  out_.commit(static_cast<std::size_t>(p - from));
}

void Http1Writer::body(std::string_view content_type, std::string_view content) {
  TW_CHECK(stage_ == Stage::headers && safe_in_header(content_type));
  end_of_head(content.size(), content_type, true);
  if (!framing_.head_only) out_.append(content);
  stage_ = Stage::finished;
}

void Http1Writer::finish() {
  TW_CHECK(stage_ == Stage::headers);
  // RFC 9110, 8.6: no Content-Length in 1xx and 204.
  end_of_head(0, {}, status_ >= 200 && status_ != 204 && status_ != 304);
  stage_ = Stage::finished;
}

void Http1Writer::problem(ErrorCode code, std::string_view text, std::string_view detail_json) {
  problem_status(traits(code).http, text, detail_json);
}

void Http1Writer::problem_status(Status status, std::string_view text,
                                 std::string_view detail_json) {
  start(status);
  if (status == 429 || status == 503) {
    std::array<char, 10> digits{};
    char* end = std::to_chars(digits.begin(), digits.end(), framing_.retry_after_s).ptr;
    header("Retry-After", {digits.data(), static_cast<std::size_t>(end - digits.data())});
  }
  problem_body(text, detail_json);
}

void Http1Writer::not_allowed(std::string_view allow) {
  start(405).header("Allow", allow);
  problem_body("this path has no such method", {});
}

void Http1Writer::problem_body(std::string_view text, std::string_view detail_json) {
  // What refuses under load refuses many times in a row, each time for the same reason.
  const bool same = detail_json.empty() && status_ == problem_status_ && text == problem_text_;
  if (!same) make_problem(text, detail_json);
  body("application/problem+json", problem_.view());
}

void Http1Writer::make_problem(std::string_view text, std::string_view detail_json) {
  std::array<char, 8> digits{};
  char* digits_end = std::to_chars(digits.data(), digits.data() + digits.size(), status_).ptr;
  problem_status_ = 0;  // until both are those of this one
  problem_.clear();
  problem_.append(R"({"type":"about:blank","title":)");
  append_json_string(problem_, reason_of(status_));
  problem_.append(R"(,"status":)");
  problem_.append({digits.data(), static_cast<std::size_t>(digits_end - digits.data())});
  problem_.append(R"(,"error":)");
  append_json_string(problem_, text);
  if (!detail_json.empty()) {
    problem_.append(",");
    problem_.append(detail_json);
  }
  problem_.append("}");
  problem_text_ = text;
  problem_status_ = detail_json.empty() ? status_ : Status{0};
}

}  // namespace trialwire::net
