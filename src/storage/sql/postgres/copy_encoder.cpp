// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/copy_encoder.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.hpp"

namespace trialwire::storage::postgres {
namespace {

constexpr std::string_view signature{"PGCOPY\n\xff\r\n\0", 11};
constexpr std::size_t first_capacity = 128 << 10;

template <typename T>
void store_be(std::byte* to, T value) noexcept {
  value = std::byteswap(value);
  std::memcpy(to, &value, sizeof value);
}

}  // namespace

std::byte* CopyEncoder::grow(std::size_t bytes) {
  std::size_t wanted = used_ + bytes;
  if (wanted > buffer_.size()) {
    buffer_.resize(std::max({wanted, buffer_.size() * 2, first_capacity}));
  }
  std::byte* at = buffer_.data() + used_;
  used_ = wanted;
  return at;
}

void CopyEncoder::truncate(std::size_t size) noexcept {
  TW_CHECK(size <= used_);
  used_ = size;
}

void CopyEncoder::header() {
  std::byte* to = grow(signature.size() + 8);
  std::memcpy(to, signature.data(), signature.size());
  std::memset(to + signature.size(), 0, 8);
}

void CopyEncoder::trailer() {
  store_be<std::int16_t>(grow(2), -1);
}

void CopyEncoder::row(std::int16_t fields) {
  store_be(grow(2), fields);
}

void CopyEncoder::null() {
  store_be<std::int32_t>(grow(4), -1);
}

void CopyEncoder::integer(std::int64_t value) {
  std::byte* to = grow(12);
  store_be<std::int32_t>(to, 8);
  store_be(to + 4, value);
}

void CopyEncoder::real(double value) {
  integer(std::bit_cast<std::int64_t>(value));
}

void CopyEncoder::field(const void* data, std::size_t size) {
  std::byte* to = grow(4 + size);
  store_be(to, static_cast<std::int32_t>(size));
  if (size > 0) std::memcpy(to + 4, data, size);
}

void CopyEncoder::text(std::string_view value) {
  field(value.data(), value.size());
}

void CopyEncoder::bytes(ByteView value) {
  field(value.data(), value.size());
}

void CopyEncoder::uuid(const Uuid& value) {
  field(value.bytes.data(), value.bytes.size());
}

}  // namespace trialwire::storage::postgres
