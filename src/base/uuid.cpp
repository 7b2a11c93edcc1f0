// SPDX-License-Identifier: Apache-2.0
#include "base/uuid.hpp"

#include <openssl/rand.h>

#include "base/bytes.hpp"
#include "base/check.hpp"

namespace trialwire {
namespace {

constexpr auto hex_pairs = [] {
  std::array<char, 512> table{};
  constexpr char digits[] = "0123456789abcdef";
  for (unsigned i = 0; i < 256; ++i) {
    table[2 * i] = digits[i >> 4];
    table[2 * i + 1] = digits[i & 15];
  }
  return table;
}();

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// The finaliser of MurmurHash3: a bijection of 64 bits that spreads every bit.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  return x ^ (x >> 33);
}

void store_be(std::uint8_t* to, std::uint64_t value) noexcept {
  store_le(to, __builtin_bswap64(value));
}

}  // namespace

Uuid Uuid::random() {
  Uuid id;
  TW_CHECK(RAND_bytes(id.bytes.data(), static_cast<int>(id.bytes.size())) == 1);
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x40);
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
  return id;
}

std::optional<Uuid> Uuid::parse(std::string_view text) noexcept {
  if (text.size() != text_size) return std::nullopt;
  Uuid id;
  std::size_t at = 0;
  for (auto& byte : id.bytes) {
    if (at == 8 || at == 13 || at == 18 || at == 23) {
      if (text[at++] != '-') return std::nullopt;
    }
    int high = hex_value(text[at]);
    int low = hex_value(text[at + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    byte = static_cast<std::uint8_t>(high << 4 | low);
    at += 2;
  }
  return id;
}

void Uuid::write(char* to) const noexcept {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    std::memcpy(to, &hex_pairs[std::size_t{2} * bytes[i]], 2);
    to += 2;
  }
}

std::string Uuid::text() const {
  std::string out(text_size, '\0');
  write(out.data());
  return out;
}

Uuid record_id(const RecordOrigin& origin) noexcept {
  auto high = load_le<std::uint64_t>(origin.journal.bytes.data());
  auto low = load_le<std::uint64_t>(origin.journal.bytes.data() + 8);
  std::uint64_t journal_hash = mix(high ^ mix(low));
  std::uint64_t epoch_hash = mix(journal_hash + origin.epoch);
  auto milliseconds = static_cast<std::uint64_t>(origin.received_ns / 1'000'000);
  constexpr std::uint64_t mask62 = (1ULL << 62) - 1;
  Uuid id;
  store_be(id.bytes.data(), milliseconds << 16 | 0x8000 | (epoch_hash & 0x0fff));
  store_be(id.bytes.data() + 8, 1ULL << 63 | ((origin.sequence + journal_hash) & mask62));
  return id;
}

}  // namespace trialwire
