// SPDX-License-Identifier: Apache-2.0
// Little-endian loads and stores, and the view types that the data path uses.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace trialwire {

static_assert(std::endian::native == std::endian::little, "formats are little-endian in memory");

using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

template <typename T>
T load_le(const void* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <typename T>
void store_le(void* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

inline ByteView as_bytes(std::string_view text) noexcept {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace trialwire
