// SPDX-License-Identifier: Apache-2.0
// Hashes of the data path: CRC32C for blocks, SipHash for identities, XXH3 for contents, SHA-256
// for the chain; XXH3 without a seed for keys that every process must see alike.
#pragma once
#include <array>
#include <cstdint>
#include <memory>

#include "base/bytes.hpp"

namespace trialwire {

/// CRC-32C (Castagnoli), as in RFC 3720: crc32c("123456789") = 0xe3069283. `seed` is the CRC of
/// what came before.
std::uint32_t crc32c(ByteView bytes, std::uint32_t seed = 0) noexcept;

struct SipKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Hash128&, const Hash128&) = default;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
};

/// SipHash-1-3 with 128 bits of output: keyed, so that no sender can aim at a collision.
class SipHasher {
 public:
  explicit SipHasher(SipKey key) noexcept;
  /// The bytes themselves; two calls are the same as one with the bytes joined.
  SipHasher& update(ByteView bytes) noexcept;
  /// Bytes with their length first, so that ("ab","c") and ("a","bc") differ.
  SipHasher& field(std::string_view text) noexcept;
  SipHasher& word(std::uint64_t value) noexcept;
  Hash128 finish() noexcept;

 private:
  void compress(std::uint64_t word) noexcept;
  std::uint64_t v0_, v1_, v2_, v3_;
  std::uint64_t tail_ = 0;
  std::uint64_t length_ = 0;
};

Hash128 siphash(SipKey key, ByteView bytes) noexcept;

/// Of this process alone, from the system's random numbers.
SipKey random_sip_key();

/// Tells apart two contents under one identity: XXH3 with a secret seed. Not for what a sender
/// could gain by a collision: here it would only take its own second report for its first.
std::uint64_t content_hash(SipKey key, ByteView bytes) noexcept;

/// What the records of one patient, device or study have in common, the same in every process:
/// the low half of XXH3, unkeyed. Never 0, but for no key at all.
std::uint32_t key_hash(std::string_view key) noexcept;

using Sha256 = std::array<std::uint8_t, 32>;

/// Reusable: one context, no allocation per digest.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;
  Sha256 digest(ByteView bytes);
  void begin();
  void update(ByteView bytes);
  Sha256 finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace trialwire
