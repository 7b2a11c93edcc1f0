// SPDX-License-Identifier: Apache-2.0
#include "base/hash.hpp"

#include <isa-l/crc.h>
#include <nmmintrin.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "base/check.hpp"

namespace trialwire {

namespace {

// From here on several chains at once, joined at the end, are faster than one.
constexpr std::size_t crc_chains_from = 256;

/// One chain; `crc` without the inversions at both ends.
std::uint32_t crc32c_chain(const std::byte* at, std::size_t left, std::uint64_t crc) noexcept {
  for (; left >= 8; left -= 8, at += 8) crc = _mm_crc32_u64(crc, load_le<std::uint64_t>(at));
  auto crc_low = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left, ++at)
    crc_low = _mm_crc32_u8(crc_low, std::to_integer<std::uint8_t>(*at));
  return crc_low;
}

}  // namespace

std::uint32_t crc32c(ByteView bytes, std::uint32_t seed) noexcept {
  std::uint32_t crc = ~seed;
  while (bytes.size() >= crc_chains_from) {
    // Its length is an int, and its buffer is only read.
    const std::size_t some = std::min<std::size_t>(bytes.size(), 1 << 30);
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    crc = crc32_iscsi(data, static_cast<int>(some), crc);
    bytes = bytes.subspan(some);
  }
  return ~crc32c_chain(bytes.data(), bytes.size(), crc);
}

SipHasher::SipHasher(SipKey key) noexcept
    : v0_(key.k0 ^ 0x736f6d6570736575ULL),
      v1_(key.k1 ^ 0x646f72616e646f6dULL ^ 0xee),
      v2_(key.k0 ^ 0x6c7967656e657261ULL),
      v3_(key.k1 ^ 0x7465646279746573ULL) {}

namespace {
inline void sip_round(std::uint64_t& a, std::uint64_t& b, std::uint64_t& c,
                      std::uint64_t& d) noexcept {
  a += b;
  b = std::rotl(b, 13) ^ a;
  a = std::rotl(a, 32);
  c += d;
  d = std::rotl(d, 16) ^ c;
  a += d;
  d = std::rotl(d, 21) ^ a;
  c += b;
  b = std::rotl(b, 17) ^ c;
  c = std::rotl(c, 32);
}
}  // namespace

void SipHasher::compress(std::uint64_t word) noexcept {
  v3_ ^= word;
  sip_round(v0_, v1_, v2_, v3_);
  v0_ ^= word;
}

SipHasher& SipHasher::update(ByteView bytes) noexcept {
  const std::byte* at = bytes.data();
  std::size_t left = bytes.size();
  unsigned held = length_ & 7;
  length_ += left;
  if (held != 0) {
    while (held < 8 && left > 0) {
      tail_ |= std::uint64_t{std::to_integer<std::uint8_t>(*at++)} << (8 * held++);
      --left;
    }
    if (held < 8) return *this;
    compress(tail_);
    tail_ = 0;
  }
  for (; left >= 8; left -= 8, at += 8) compress(load_le<std::uint64_t>(at));
  for (unsigned i = 0; i < left; ++i) {
    tail_ |= std::uint64_t{std::to_integer<std::uint8_t>(at[i])} << (8 * i);
  }
  return *this;
}

SipHasher& SipHasher::word(std::uint64_t value) noexcept {
  return update(std::as_bytes(std::span(&value, 1)));
}

SipHasher& SipHasher::field(std::string_view text) noexcept {
  word(text.size());
  return update(as_bytes(text));
}

Hash128 SipHasher::finish() noexcept {
  compress(length_ << 56 | tail_);
  v2_ ^= 0xee;
  for (int i = 0; i < 3; ++i) sip_round(v0_, v1_, v2_, v3_);
  std::uint64_t low = v0_ ^ v1_ ^ v2_ ^ v3_;
  v1_ ^= 0xdd;
  for (int i = 0; i < 3; ++i) sip_round(v0_, v1_, v2_, v3_);
  return {low, v0_ ^ v1_ ^ v2_ ^ v3_};
}

namespace {

/// SipHash of a text that is there as a whole.
class SipLane {
 public:
  explicit SipLane(SipKey key) noexcept
      : v0_(key.k0 ^ 0x736f6d6570736575ULL),
        v1_(key.k1 ^ 0x646f72616e646f6dULL ^ 0xee),
        v2_(key.k0 ^ 0x6c7967656e657261ULL),
        v3_(key.k1 ^ 0x7465646279746573ULL) {}

  void absorb(std::uint64_t word) noexcept {
    v3_ ^= word;
    sip_round(v0_, v1_, v2_, v3_);
    v0_ ^= word;
  }

  Hash128 finish(ByteView text) noexcept {
    std::uint64_t last = std::uint64_t{text.size()} << 56;
    std::size_t rest = text.size() % 8;
    const std::byte* at = text.data() + (text.size() - rest);
    for (std::size_t i = 0; i < rest; ++i) {
      last |= std::uint64_t{std::to_integer<std::uint8_t>(at[i])} << (8 * i);
    }
    absorb(last);
    v2_ ^= 0xee;
    for (int i = 0; i < 3; ++i) sip_round(v0_, v1_, v2_, v3_);
    std::uint64_t low = v0_ ^ v1_ ^ v2_ ^ v3_;
    v1_ ^= 0xdd;
    for (int i = 0; i < 3; ++i) sip_round(v0_, v1_, v2_, v3_);
    return {low, v0_ ^ v1_ ^ v2_ ^ v3_};
  }

 private:
  std::uint64_t v0_, v1_, v2_, v3_;
};

}  // namespace

Hash128 siphash(SipKey key, ByteView bytes) noexcept {
  SipLane lane(key);
  const std::byte* at = bytes.data();
  for (std::size_t left = bytes.size() / 8; left > 0; --left, at += 8) {
    lane.absorb(load_le<std::uint64_t>(at));
  }
  return lane.finish(bytes);
}

std::uint64_t content_hash(SipKey key, ByteView bytes) noexcept {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), key.k0 ^ std::rotl(key.k1, 32));
}

std::uint32_t key_hash(std::string_view key) noexcept {
  if (key.empty()) return 0;
  auto low = static_cast<std::uint32_t>(XXH3_64bits(key.data(), key.size()));
  return low == 0 ? 1 : low;
}

struct Sha256Hasher::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  EVP_MD* algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  ~Context() {
    EVP_MD_free(algorithm);
    EVP_MD_CTX_free(md);
  }
};

Sha256Hasher::Sha256Hasher() : context_(std::make_unique<Context>()) {
  TW_CHECK(context_->md != nullptr && context_->algorithm != nullptr);
}
Sha256Hasher::~Sha256Hasher() = default;

void Sha256Hasher::begin() {
  TW_CHECK(EVP_DigestInit_ex2(context_->md, context_->algorithm, nullptr) == 1);
}

void Sha256Hasher::update(ByteView bytes) {
  TW_CHECK(EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()) == 1);
}

Sha256 Sha256Hasher::finish() {
  Sha256 out;
  TW_CHECK(EVP_DigestFinal_ex(context_->md, out.data(), nullptr) == 1);
  return out;
}

Sha256 Sha256Hasher::digest(ByteView bytes) {
  begin();
  update(bytes);
  return finish();
}

SipKey random_sip_key() {
  SipKey key;
  TW_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(&key), sizeof key) == 1);
  return key;
}

}  // namespace trialwire
