// SPDX-License-Identifier: Apache-2.0
// Decodes a chunked body (RFC 9112, 7.1) as it arrives, in place.
//
// Strict: chunk sizes are hexadecimal without a sign, prefix or white space and fit 60 bits,
// extensions follow the grammar, the white space that it calls bad included, lines end in CRLF.
// Trailers are checked like headers and dropped. Bounds: a chunk's first line, and all trailers
// together.
// One decoder is one body; any thread.
#pragma once
#include <cstddef>
#include <cstdint>

namespace trialwire::net {

class ChunkDecoder {
 public:
  /// Size and extensions of one chunk.
  static constexpr std::uint32_t chunk_line_bytes_max = 256;
  static constexpr std::uint32_t trailer_bytes_max = 8 << 10;

  enum class State : std::uint8_t { more, done, malformed };
  struct Step {
    State state = State::more;
    std::size_t consumed = 0;  // of the input; what follows a finished body is not touched
    std::size_t produced = 0;  // bytes of the body, from `out` on
  };

  /// `out` may be `in` or before it in the same buffer: never more is produced than consumed.
  /// Stops before a chunk that would take the body beyond `produce_max` more bytes: then
  /// `over_limit` is true and the state `malformed`.
  Step decode(const char* in, std::size_t size, char* out, std::size_t produce_max) noexcept;
  bool over_limit() const noexcept { return over_limit_; }
  /// The trailers were over theirs: the state is `malformed`.
  bool trailers_over_limit() const noexcept { return trailers_over_limit_; }

 private:
  enum class At : std::uint8_t {
    size_first,
    size_more,
    before_semicolon,
    extension_name_first,
    extension_name,
    extension_name_end,
    extension_value_first,
    extension_token,
    extension_quoted,
    extension_escaped,
    extension_end,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_first,
    trailer_name,
    trailer_value,
    trailer_lf,
    end_lf,
    done,
    malformed,
  };

  At advance(char c) noexcept;
  At in_size(char c) noexcept;
  At in_extension(char c) noexcept;
  At in_trailer(char c) noexcept;
  static At after_size(char c) noexcept;

  std::uint64_t left_ = 0;  // of the chunk
  std::uint32_t line_bytes_ = 0;
  At at_ = At::size_first;
  bool over_limit_ = false;
  bool trailers_over_limit_ = false;
};

}  // namespace trialwire::net
