// SPDX-License-Identifier: Apache-2.0
#include "net/chunked.hpp"

#include <algorithm>
#include <cstring>

#include "net/parser.hpp"

namespace trialwire::net {
namespace {

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  char l = static_cast<char>(c | 0x20);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

bool is_text(char c) noexcept {
  auto u = static_cast<unsigned char>(c);
  return c == '\t' || (u >= 0x20 && u != 0x7f);
}

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}

}  // namespace

/// After the size, or an extension that is whole. White space must be followed by another one.
ChunkDecoder::At ChunkDecoder::after_size(char c) noexcept {
  if (c == ';') return At::extension_name_first;
  if (is_blank(c)) return At::before_semicolon;
  if (c == '\r') return At::size_lf;
  return At::malformed;
}

ChunkDecoder::At ChunkDecoder::in_size(char c) noexcept {
  int digit = hex_value(c);
  if (digit < 0) return at_ == At::size_first ? At::malformed : after_size(c);
  if (left_ >> 56 != 0) return At::malformed;
  left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
  return At::size_more;
}

ChunkDecoder::At ChunkDecoder::in_extension(char c) noexcept {
  switch (at_) {
    case At::before_semicolon:
      if (is_blank(c)) return At::before_semicolon;
      return c == ';' ? At::extension_name_first : At::malformed;
    case At::extension_name_first:
      if (is_blank(c)) return At::extension_name_first;
      return is_token_char(c) ? At::extension_name : At::malformed;
    case At::extension_name:
      if (is_token_char(c)) return At::extension_name;
      if (is_blank(c)) return At::extension_name_end;
      return c == '=' ? At::extension_value_first : after_size(c);
    case At::extension_name_end:
      if (is_blank(c)) return At::extension_name_end;
      if (c == '=') return At::extension_value_first;
      return c == ';' ? At::extension_name_first : At::malformed;
    case At::extension_value_first:
      if (is_blank(c)) return At::extension_value_first;
      if (c == '"') return At::extension_quoted;
      return is_token_char(c) ? At::extension_token : At::malformed;
    case At::extension_token:
      return is_token_char(c) ? At::extension_token : after_size(c);
    case At::extension_quoted:
      if (c == '"') return At::extension_end;
      if (c == '\\') return At::extension_escaped;
      return is_text(c) ? At::extension_quoted : At::malformed;
    case At::extension_escaped:
      return is_text(c) ? At::extension_quoted : At::malformed;
    default:
      return after_size(c);
  }
}

ChunkDecoder::At ChunkDecoder::in_trailer(char c) noexcept {
  switch (at_) {
    case At::trailer_first:
      if (c == '\r') return At::end_lf;
      return is_token_char(c) ? At::trailer_name : At::malformed;
    case At::trailer_name:
      if (c == ':') return At::trailer_value;
      return is_token_char(c) ? At::trailer_name : At::malformed;
    case At::trailer_value:
      if (c == '\r') return At::trailer_lf;
      return is_text(c) ? At::trailer_value : At::malformed;
    case At::trailer_lf:
      return c == '\n' ? At::trailer_first : At::malformed;
    default:
      return c == '\n' ? At::done : At::malformed;
  }
}

ChunkDecoder::At ChunkDecoder::advance(char c) noexcept {
  switch (at_) {
    case At::size_first:
    case At::size_more:
      if (++line_bytes_ > chunk_line_bytes_max) return At::malformed;
      return in_size(c);
    case At::size_lf:
      if (c != '\n') return At::malformed;
      line_bytes_ = 0;
      return left_ == 0 ? At::trailer_first : At::data;
    case At::data_cr:
      return c == '\r' ? At::data_lf : At::malformed;
    case At::data_lf:
      return c == '\n' ? At::size_first : At::malformed;
    case At::trailer_first:
    case At::trailer_name:
    case At::trailer_value:
    case At::trailer_lf:
    case At::end_lf:
      if (++line_bytes_ > trailer_bytes_max) {
        trailers_over_limit_ = true;
        return At::malformed;
      }
      return in_trailer(c);
    default:
      if (++line_bytes_ > chunk_line_bytes_max) return At::malformed;
      return in_extension(c);
  }
}

ChunkDecoder::Step ChunkDecoder::decode(const char* in, std::size_t size, char* out,
                                        std::size_t produce_max) noexcept {
  Step step;
  while (step.consumed < size && at_ != At::done && at_ != At::malformed) {
    if (at_ != At::data) {
      at_ = advance(in[step.consumed++]);
      if (at_ == At::data && left_ > produce_max - step.produced) {
        over_limit_ = true;
        at_ = At::malformed;
      }
      continue;
    }
    auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, size - step.consumed));
    std::memmove(out + step.produced, in + step.consumed, take);
    step.consumed += take;
    step.produced += take;
    left_ -= take;
    if (left_ == 0) at_ = At::data_cr;
  }
  if (at_ == At::done) step.state = State::done;
  if (at_ == At::malformed) step.state = State::malformed;
  return step;
}

}  // namespace trialwire::net
