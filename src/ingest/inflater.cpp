// SPDX-License-Identifier: Apache-2.0
#include "ingest/inflater.hpp"

#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <cstring>
#include <limits>

namespace trialwire::ingest {
namespace {
constexpr std::size_t first_capacity = 64 << 10;
}

struct Inflater::State {
  inflate_state stream;
};

Inflater::Inflater() = default;
Inflater::~Inflater() = default;

/// False when the buffer already holds more than `bytes_max`. One byte beyond it tells "exactly
/// full" from "too much".
bool Inflater::grow(std::size_t bytes_max) {
  std::size_t most = bytes_max + 1;
  if (capacity_ >= most) return false;
  std::size_t wanted = std::min(std::max(first_capacity, capacity_ * 2), most);
  auto larger = std::make_unique_for_overwrite<char[]>(wanted + padding);
  if (capacity_ != 0) std::memcpy(larger.get(), buffer_.get(), capacity_);
  buffer_ = std::move(larger);
  capacity_ = wanted;
  return true;
}

Result<std::string_view> Inflater::inflate(std::string_view gzip, std::size_t bytes_max) {
  auto damaged = [] { return fail(ErrorCode::invalid_argument, "the body is not valid gzip"); };
  if (gzip.size() > std::numeric_limits<std::uint32_t>::max()) return damaged();
  if (state_ == nullptr) state_ = std::make_unique<State>();
  inflate_state& stream = state_->stream;
  // The library's input pointer lacks const; it does not write there.
  stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(gzip.data()));
  stream.avail_in = static_cast<std::uint32_t>(gzip.size());
  std::size_t used = 0;
  do {
    std::uint8_t* input = stream.next_in;
    std::uint32_t input_bytes = stream.avail_in;
    isal_inflate_init(&stream);
    stream.next_in = input;
    stream.avail_in = input_bytes;
    stream.crc_flag = ISAL_GZIP;
    while (stream.block_state != ISAL_BLOCK_FINISH) {
      if (used == capacity_ && !grow(bytes_max)) {
        return fail(ErrorCode::payload_too_large, "the body is too large after gzip is inflated");
      }
      std::size_t room = std::min<std::size_t>(capacity_ - used, 1U << 30);
      stream.next_out = reinterpret_cast<std::uint8_t*>(buffer_.get() + used);
      stream.avail_out = static_cast<std::uint32_t>(room);
      std::uint32_t before = stream.avail_in;
      if (isal_inflate(&stream) != ISAL_DECOMP_OK) return damaged();
      std::size_t written = room - stream.avail_out;
      used += written;
      if (used > bytes_max) {
        return fail(ErrorCode::payload_too_large, "the body is too large after gzip is inflated");
      }
      bool stuck = written == 0 && stream.avail_in == before && stream.avail_out != 0;
      if (stuck && stream.block_state != ISAL_BLOCK_FINISH) return damaged();
    }
    // Whole bytes that were read ahead into the bit buffer belong to the next member.
    auto ahead = static_cast<std::uint32_t>(std::max(stream.read_in_length, 0) / 8);
    stream.next_in -= ahead;
    stream.avail_in += ahead;
  } while (stream.avail_in > 0);
  std::memset(buffer_.get() + used, 0, padding);
  return std::string_view(buffer_.get(), used);
}

void Inflater::shrink(std::size_t retained_bytes_max) noexcept {
  if (capacity_ <= retained_bytes_max) return;
  buffer_.reset();
  capacity_ = 0;
}

}  // namespace trialwire::ingest
