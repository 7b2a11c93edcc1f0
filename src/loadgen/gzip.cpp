// SPDX-License-Identifier: Apache-2.0
#include "loadgen/gzip.hpp"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <memory>

#include "base/check.hpp"

namespace trialwire::loadgen {
namespace {

// ISA-L takes mutable pointers to what it only reads.
std::uint8_t* input_bytes(std::string_view text) noexcept {
  return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
}

}  // namespace

std::string gzip(std::string_view text) {
  auto stream = std::make_unique<isal_zstream>();
  isal_deflate_stateless_init(stream.get());
  stream->gzip_flag = IGZIP_GZIP;
  stream->end_of_stream = 1;
  stream->flush = NO_FLUSH;
  stream->next_in = input_bytes(text);
  stream->avail_in = static_cast<std::uint32_t>(text.size());
  // Level 0 falls back to stored blocks, 5 bytes for each 64 KiB, beside header and trailer.
  std::string packed(text.size() + text.size() / 1024 + 128, '\0');
  stream->next_out = reinterpret_cast<std::uint8_t*>(packed.data());
  stream->avail_out = static_cast<std::uint32_t>(packed.size());
  TW_CHECK(isal_deflate_stateless(stream.get()) == COMP_OK);
  packed.resize(stream->total_out);
  return packed;
}

Result<std::string> gunzip(std::string_view packed, std::size_t bytes_max) {
  auto state = std::make_unique<inflate_state>();
  std::string text;
  std::string chunk(256 << 10, '\0');
  isal_inflate_init(state.get());
  state->crc_flag = ISAL_GZIP;
  state->next_in = input_bytes(packed);
  state->avail_in = static_cast<std::uint32_t>(packed.size());
  for (;;) {
    state->next_out = reinterpret_cast<std::uint8_t*>(chunk.data());
    state->avail_out = static_cast<std::uint32_t>(chunk.size());
    if (isal_inflate(state.get()) != ISAL_DECOMP_OK) {
      return fail(ErrorCode::corrupt, "is not valid gzip");
    }
    const std::size_t made = chunk.size() - state->avail_out;
    if (text.size() + made > bytes_max) {
      return fail(ErrorCode::payload_too_large, "is too large when inflated");
    }
    text.append(chunk, 0, made);
    if (state->block_state == ISAL_BLOCK_FINISH) {
      if (state->avail_in == 0) return text;
      auto* next = state->next_in;
      const auto left = state->avail_in;
      isal_inflate_reset(state.get());
      state->crc_flag = ISAL_GZIP;
      state->next_in = next;
      state->avail_in = left;
    } else if (made == 0 && state->avail_in == 0) {
      return fail(ErrorCode::corrupt, "is cut off");
    }
  }
}

bool is_gzip(std::string_view bytes) noexcept {
  return bytes.starts_with("\x1f\x8b");
}

}  // namespace trialwire::loadgen
