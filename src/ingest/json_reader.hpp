// SPDX-License-Identifier: Apache-2.0
// A strict, single-pass pull reader of JSON (RFC 8259). Every byte that is passed over is checked,
// also within values that the caller skips: literals, number grammar, escapes, surrogate pairs,
// control characters, depth. Not checked here: UTF-8 (the caller validates the whole text first)
// and repeated names (KeySet).
//
// Strings are found by bit masks of 64 bytes at a time, computed ahead of where the reader stands:
// to search from each string's start would make every string wait for the end of the one before it
// (measured: half as fast).
//
// Borrows the text; allocates nothing. At the first fault a call returns false and `fault` says
// what was wrong and where; the reader is of no use after that. Why not simdjson:
// docs/decisions/json-reader.md.
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
  bool plain = false;    // printable ASCII alone, without escapes: means what is written

  /// False: there was none, or not a well-formed one. (The raw text of "" is not null.)
  explicit operator bool() const noexcept { return raw.data() != nullptr; }
};

class JsonReader {
 public:
  /// `padding` bytes after the text may be read (their value does not matter): 64 or more spare the
  /// last block a copy.
  JsonReader(std::string_view text, std::size_t padding, unsigned depth_max) noexcept
      : begin_(text.data()),
        at_(text.data()),
        end_(text.data() + text.size()),
        readable_(end_ + padding),
        block_(begin_),
        depth_left_(depth_max) {
    load_block();
  }

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
    for (; at_ < end_; ++at_) {
      char c = *at_;
      if (static_cast<unsigned char>(c) > ' ') return c;
      if (!is_space(c)) return c;
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

  /// Steps to the next member of an object: returns its name, and the value is next. None at '}'
  /// (consumed) and on a fault. `first` starts as true.
  ///
  /// Results are returned, not written through references: a string_view that is stored in two
  /// halves and loaded as a whole stalls the processor, which here was a fifth of the time.
  [[gnu::always_inline]] JsonString next_member(bool& first) noexcept {
    // Nearly all JSON on the wire is written without white space: `,"name":value`.
    const char* at = at_;
    if (end_ - at > 2 && (first || *at == ',')) {
      at += first ? 0 : 1;
      if (*at == '"') {
        Scan scan = scan_string(++at);
        const char* stop = scan.stop;
        if (end_ - stop > 2 && stop[0] == '"' && stop[1] == ':' && !is_space(stop[2])) {
          at_ = stop + 2;
          first = false;
          return {{at, static_cast<std::size_t>(stop - at)}, false, scan.plain};
        }
      }
    }
    return next_spaced_member(first);
  }

  /// Steps to the next element of an array. False at ']' (consumed) and on a fault.
  bool next_element(bool& first) noexcept { return next(']', first); }

  /// Reads the string that is next ('"' was peeked).
  [[gnu::always_inline]] JsonString string() noexcept {
    const char* start = at_ + 1;
    Scan scan = scan_string(start);
    if (scan.stop < end_ && *scan.stop == '"') {
      at_ = scan.stop + 1;
      return {{start, static_cast<std::size_t>(scan.stop - start)}, false, scan.plain};
    }
    return long_string(scan.stop);
  }

  /// Reads the number that is next ('-' or a digit was peeked): its text, null on a fault.
  [[gnu::always_inline]] std::string_view number() noexcept {
    // Most are a single digit; the grammar is for the rest.
    const char* start = at_;
    if (end_ - start >= 2 && is_digit(start[0]) && (start[1] == ',' || start[1] == '}')) {
      ++at_;
      return {start, 1};
    }
    return long_number();
  }

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

  static bool is_space(char c) noexcept { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
  static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

  struct Scan {
    const char* stop;  // the first '"', '\\' or control character; end_ or beyond: there is none
    bool plain;        // printable ASCII up to there
  };
  [[gnu::always_inline]] Scan scan_string(const char* at) noexcept {
    auto offset = static_cast<std::size_t>(at - block_);
    if (offset < block_bytes) {
      std::uint64_t found = special_ >> offset;
      if (found != 0) {
        std::uint64_t before = (found & (0 - found)) - 1;  // the places in front of the first
        return {at + std::countr_zero(found), (odd_ >> offset & before) == 0};
      }
    }
    return scan_on(at);
  }
  /// Goes on in the blocks that follow.
  Scan scan_on(const char* at) noexcept;
  /// Computes the masks of the 64 bytes at block_.
  void load_block() noexcept {
    if (readable_ - block_ >= static_cast<std::ptrdiff_t>(block_bytes)) {
      classify(block_);
    } else {
      load_last_block();
    }
  }
  void load_last_block() noexcept;
  void classify(const char* block) noexcept;

  JsonString next_spaced_member(bool& first) noexcept;
  /// The rest of a string that has something but plain text at `at`.
  JsonString long_string(const char* at) noexcept;
  std::string_view long_number() noexcept;
  bool skip_escape() noexcept;
  bool skip_container(char close) noexcept;

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* readable_;
  static constexpr std::size_t block_bytes = 64;
  const char* block_;
  std::uint64_t special_ = 0;  // of the block: '"', '\\', control characters
  std::uint64_t odd_ = 0;      // of the block: all but printable ASCII
  unsigned depth_left_;
  JsonFault fault_ = JsonFault::none;
};

inline void JsonReader::classify(const char* block) noexcept {
  special_ = 0;
  odd_ = 0;
#if defined(__AVX2__)
  for (int half = 0; half < 2; ++half) {
    __m256i text = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + 32 * half));
    __m256i quote = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('"'));
    __m256i slash = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('\\'));
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(text, _mm256_set1_epi8(0x1f)), text);
    // As signed numbers, bytes from 0x80 on are below 0x20 too.
    __m256i odd = _mm256_or_si256(_mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), text),
                                  _mm256_cmpeq_epi8(text, _mm256_set1_epi8(0x7f)));
    __m256i special = _mm256_or_si256(_mm256_or_si256(quote, slash), control);
    special_ |= std::uint64_t{static_cast<unsigned>(_mm256_movemask_epi8(special))} << (32 * half);
    odd_ |= std::uint64_t{static_cast<unsigned>(_mm256_movemask_epi8(odd))} << (32 * half);
  }
#else
  for (int quarter = 0; quarter < 4; ++quarter) {
    __m128i text = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * quarter));
    __m128i quote = _mm_cmpeq_epi8(text, _mm_set1_epi8('"'));
    __m128i slash = _mm_cmpeq_epi8(text, _mm_set1_epi8('\\'));
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(text, _mm_set1_epi8(0x1f)), text);
    __m128i odd = _mm_or_si128(_mm_cmpgt_epi8(_mm_set1_epi8(0x20), text),
                               _mm_cmpeq_epi8(text, _mm_set1_epi8(0x7f)));
    __m128i special = _mm_or_si128(_mm_or_si128(quote, slash), control);
    special_ |= std::uint64_t{static_cast<unsigned>(_mm_movemask_epi8(special))} << (16 * quarter);
    odd_ |= std::uint64_t{static_cast<unsigned>(_mm_movemask_epi8(odd))} << (16 * quarter);
  }
#endif
}

}  // namespace trialwire::ingest
