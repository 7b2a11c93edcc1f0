// SPDX-License-Identifier: Apache-2.0
// A strict, single-pass pull reader of JSON (RFC 8259). Every byte that is passed over is checked,
// also within values that the caller skips: literals, number grammar, escapes, surrogate pairs,
// control characters, depth. Not checked here: UTF-8 (the caller validates the whole text first)
// and repeated names (KeySet).
//
// Borrows the text; allocates nothing. After the first fault every call returns false and `fault`
// says what was wrong and where. Why not simdjson: docs/decisions/json-reader.md.
#pragma once
#include <immintrin.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace trialwire::ingest {

enum class JsonFault : std::uint8_t {
  none,
  end,        // the text ends within a value
  character,  // not what the grammar allows here
  control,    // a control character within a string
  escape,     // an unknown or short escape
  surrogate,  // half of a surrogate pair
  number,     // 01, 1., .5, +1
  literal,    // nul, True, NaN
  depth,      // nested too deeply
  trailing,   // something after the value
};

/// "invalid escape in a string", for people.
std::string_view describe(JsonFault fault) noexcept;

/// A string as written, without its quotes.
struct JsonString {
  std::string_view raw;
  bool escaped = false;  // has at least one escape: see json_text.hpp to decode it
};

class JsonReader {
 public:
  /// `padding` bytes after the text may be read (their value does not matter): with 32 or more,
  /// short strings at the end are scanned as fast as others.
  JsonReader(std::string_view text, std::size_t padding, unsigned depth_max) noexcept
      : begin_(text.data()),
        at_(text.data()),
        end_(text.data() + text.size()),
        readable_(end_ + padding),
        depth_left_(depth_max) {}

  JsonFault fault() const noexcept { return fault_; }
  bool failed() const noexcept { return fault_ != JsonFault::none; }
  std::size_t offset() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
  const char* position() const noexcept { return at_; }
  std::string_view since(const char* start) const noexcept {
    return {start, static_cast<std::size_t>(at_ - start)};
  }

  /// The next character that is not white space; NUL at the end (a NUL in the text is no token
  /// either, so the two need no telling apart).
  char peek() noexcept {
    while (at_ < end_) {
      char c = *at_;
      if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return c;
      ++at_;
    }
    return '\0';
  }

  /// Consumes '{' or '[' (`bracket`) and counts a level of depth.
  bool open(char bracket) noexcept {
    if (peek() != bracket) return unexpected();
    if (depth_left_ == 0) return fail(JsonFault::depth);
    --depth_left_;
    ++at_;
    return true;
  }

  /// Steps to the next member of an object: its name is read and the value is next. False at '}'
  /// (consumed) and on a fault. `first` starts as true.
  bool next_member(JsonString& name, bool& first) noexcept {
    if (!next('}', first)) return false;
    if (peek() != '"') return unexpected();
    if (!string(name)) return false;
    if (peek() != ':') return unexpected();
    ++at_;
    peek();
    return true;
  }

  /// Steps to the next element of an array. False at ']' (consumed) and on a fault.
  bool next_element(bool& first) noexcept { return next(']', first); }

  /// Reads the string that is next ('"' was peeked).
  bool string(JsonString& out) noexcept {
    const char* start = ++at_;
    out.escaped = false;
    while (true) {
      at_ = find_special(at_);
      if (at_ >= end_) {
        at_ = end_;
        return fail(JsonFault::end);
      }
      if (*at_ == '"') {
        out.raw = {start, static_cast<std::size_t>(at_ - start)};
        ++at_;
        return true;
      }
      if (*at_ != '\\') return fail(JsonFault::control);
      out.escaped = true;
      if (!skip_escape()) return false;
    }
  }

  /// Reads the number that is next ('-' or a digit was peeked). `out` is its text.
  bool number(std::string_view& out) noexcept;

  /// Reads true, false or null, whichever `peek` announced.
  bool literal() noexcept;

  /// Passes over the next value of any type, checking all of it.
  bool skip_value() noexcept;

  /// True when nothing but white space is left.
  bool at_end() noexcept {
    if (failed()) return false;
    peek();
    return at_ == end_ || fail(JsonFault::trailing);
  }

  /// Records the fault that the next character is.
  bool unexpected() noexcept { return fail(at_ >= end_ ? JsonFault::end : JsonFault::character); }

 private:
  bool next(char close, bool& first) noexcept {
    char c = peek();
    if (c == close) {
      ++at_;
      ++depth_left_;
      return false;
    }
    if (first) {
      first = false;
      return at_ < end_ || fail(JsonFault::end);
    }
    if (c != ',') return unexpected();
    ++at_;
    peek();
    return true;
  }

  bool fail(JsonFault fault) noexcept {
    if (fault_ == JsonFault::none) fault_ = fault;
    return false;
  }

  /// The first '"', '\\' or control character at or after `at`; end_ or beyond when there is none.
  const char* find_special(const char* at) const noexcept;
  bool skip_escape() noexcept;
  bool skip_container(char close) noexcept;

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* readable_;
  unsigned depth_left_;
  JsonFault fault_ = JsonFault::none;
};

inline const char* JsonReader::find_special(const char* at) const noexcept {
#if defined(__AVX2__)
  for (; readable_ - at >= 32; at += 32) {
    if (at >= end_) return end_;
    __m256i text = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    __m256i quote = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('"'));
    __m256i slash = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\\'));
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(text, _mm256_set1_epi8(0x1f)), text);
    auto found = static_cast<unsigned>(
        _mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(quote, slash), control)));
    if (found != 0) return at + std::countr_zero(found);
  }
#else
  for (; readable_ - at >= 16; at += 16) {
    if (at >= end_) return end_;
    __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    __m128i quote = _mm_cmpeq_epi8(text, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1f)), text);
    auto found = static_cast<unsigned>(
        _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), control)));
    if (found != 0) return at + std::countr_zero(found);
  }
#endif
  while (at < end_ && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return at;
}

}  // namespace trialwire::ingest
