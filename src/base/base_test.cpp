// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "base/error.hpp"
#include "base/hash.hpp"
#include "base/rfc3339.hpp"
#include "base/sha256_lanes.hpp"
#include "base/sha256_leaves.hpp"
#include "base/sha256_pair.hpp"
#include "base/uuid.hpp"

namespace trialwire {
namespace {

TEST(Crc32c, matches_the_check_value_of_rfc_3720) {
  EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(as_bytes("6789"), crc32c(as_bytes("12345"))), 0xe3069283u);
}

TEST(Crc32c, gives_the_examples_of_rfc_3720) {
  std::array<std::uint8_t, 32> bytes{};
  auto crc = [&] { return crc32c(std::as_bytes(std::span(bytes))); };
  EXPECT_EQ(crc(), 0x8a9136aau) << "zeros";
  bytes.fill(0xff);
  EXPECT_EQ(crc(), 0x62a8ab43u) << "ones";
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  EXPECT_EQ(crc(), 0x46dd794eu) << "incrementing";
  std::reverse(bytes.begin(), bytes.end());
  EXPECT_EQ(crc(), 0x113fdb5cu) << "decrementing";
  const std::array<std::uint8_t, 48> read_command{
      0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
      0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18, 0x28, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  EXPECT_EQ(crc32c(std::as_bytes(std::span(read_command))), 0xd9963a56u);
}

TEST(Crc32c, is_what_dividing_bit_by_bit_gives_at_every_length_and_alignment) {
  std::vector<std::uint8_t> bytes(9000);
  std::uint32_t state = 1;
  for (std::uint8_t& byte : bytes)
    byte = static_cast<std::uint8_t>((state = state * 69069 + 1) >> 24);
  auto by_bits = [&](std::size_t from, std::size_t length) {
    std::uint32_t crc = ~0u;
    for (std::size_t i = from; i < from + length; ++i) {
      crc ^= bytes[i];
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
  };
  const ByteView all = std::as_bytes(std::span(bytes));
  auto check = [&](std::size_t from, std::size_t length) {
    ASSERT_EQ(crc32c(all.subspan(from, length)), by_bits(from, length)) << from << ' ' << length;
  };
  for (std::size_t length = 0; length <= 1100; ++length) check(length % 17, length);
  for (std::size_t length = 4090; length <= 4102; ++length) check(length % 9, length);
  for (std::size_t cut = 0; cut <= bytes.size(); cut += 97) {
    ASSERT_EQ(crc32c(all.subspan(cut), crc32c(all.first(cut))), crc32c(all)) << cut;
  }
  check(0, bytes.size());
}

TEST(Sha256Pair, gives_what_each_text_has_by_itself) {
  std::vector<std::byte> text(20'000);
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<std::byte>(i * 131 + (i >> 8));
  Sha256Hasher hasher;
  auto check = [&](std::size_t first, std::size_t second) {
    const ByteView a = ByteView(text).first(first), b = ByteView(text).subspan(7, second);
    const auto pair = sha256_pair(a, b);
    EXPECT_EQ(pair[0], hasher.digest(a)) << first << ' ' << second;
    EXPECT_EQ(pair[1], hasher.digest(b)) << first << ' ' << second;
  };
  for (std::size_t length = 0; length <= 260; ++length) {
    check(length, 260 - length);
    check(length, 128);
    check(length, length);
  }
  check(19'000, 64);
  check(0, 19'000);
  check(19'999, 12'345);
}

TEST(Sha256Lanes, give_what_each_text_has_by_itself) {
  if (!sha256_lanes_available()) GTEST_SKIP() << "needs AVX-512";
  std::vector<std::byte> text(20'000);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::byte>(i * 37 + (i >> 7));
  Sha256Hasher hasher;
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{64}, std::size_t{192}, std::size_t{4'096}}) {
    std::array<const std::byte*, sha256_lanes> texts;
    for (std::size_t i = 0; i < texts.size(); ++i) texts[i] = text.data() + 991 * i;
    std::array<Sha256, sha256_lanes> digests;
    sha256_of_lanes(texts, bytes, digests);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      EXPECT_EQ(digests[i], hasher.digest({texts[i], bytes})) << bytes << ' ' << i;
    }
  }
}

TEST(LeafDigest, is_the_same_in_pairs_and_in_lanes) {
  constexpr std::size_t leaf = LeafDigest::leaf_bytes, group = LeafDigest::group_bytes;
  std::vector<std::byte> text(3 * group + 5'000);
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<std::byte>(i * 131 + (i >> 9));
  LeafDigest pairs(LeafDigest::Way::pairs);
  LeafDigest fastest;
  std::optional<LeafDigest> lanes;
  if (sha256_lanes_available()) lanes.emplace(LeafDigest::Way::lanes);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, leaf, leaf + 1, 2 * leaf, 9 * leaf + 1, 10 * leaf - 1,
        10 * leaf, 13 * leaf + 7, group - 1, group, group + 1, 2 * group, 2 * group + 11 * leaf,
        3 * group + 5'000}) {
    const ByteView part = ByteView(text).first(size);
    const Sha256 expected = pairs.digest(part);
    EXPECT_EQ(fastest.digest(part), expected) << size;
    if (lanes) EXPECT_EQ(lanes->digest(part), expected) << size;
    if (size <= leaf) EXPECT_EQ(expected, Sha256Hasher().digest(part)) << size;
  }
}

TEST(SipHash, is_the_same_however_the_bytes_are_cut) {
  SipKey key{1, 2};
  std::string text = "the quick brown fox jumps over the lazy dog";
  Hash128 whole = siphash(key, as_bytes(text));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    SipHasher hasher(key);
    hasher.update(as_bytes(std::string_view(text).substr(0, cut)));
    hasher.update(as_bytes(std::string_view(text).substr(cut)));
    EXPECT_EQ(hasher.finish(), whole) << cut;
  }
  EXPECT_NE(siphash(SipKey{1, 3}, as_bytes(text)), whole);
}

TEST(ContentHash, depends_on_every_byte_and_on_the_key) {
  std::string text = "the quick brown fox jumps over the lazy dog";
  std::uint64_t whole = content_hash({1, 2}, as_bytes(text));
  EXPECT_EQ(whole, content_hash({1, 2}, as_bytes(text)));
  EXPECT_NE(whole, content_hash({1, 3}, as_bytes(text)));
  EXPECT_NE(whole, content_hash({3, 2}, as_bytes(text)));
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string other = text;
    other[at] ^= 1;
    EXPECT_NE(whole, content_hash({1, 2}, as_bytes(other))) << at;
  }
}

TEST(KeyHash, is_the_same_in_every_process_and_0_for_no_key_alone) {
  EXPECT_EQ(key_hash("P-1"), 1'039'841'020u);
  EXPECT_EQ(key_hash("01-701-1015"), 1'897'145'685u);
  EXPECT_EQ(key_hash(""), 0u);
}

TEST(SipHash, fields_do_not_run_into_each_other) {
  SipKey key{1, 2};
  EXPECT_NE(SipHasher(key).field("ab").field("c").finish(),
            SipHasher(key).field("a").field("bc").finish());
}

TEST(Sha256, matches_the_example_of_fips_180) {
  Sha256 digest = Sha256Hasher().digest(as_bytes("abc"));
  EXPECT_EQ(digest[0], 0xba);
  EXPECT_EQ(digest[31], 0xad);
}

TEST(Rfc3339, reads_offsets_and_fractions) {
  auto t = parse_rfc3339("2026-03-01T08:15:30.25+01:00");
  ASSERT_TRUE(t);
  EXPECT_EQ(t->offset_minutes, 60);
  EXPECT_EQ(format_rfc3339_ms(t->unix_ns), "2026-03-01T07:15:30.250Z");
  EXPECT_EQ(parse_rfc3339("1969-12-31T23:59:59.999999999Z")->unix_ns, -1);
  EXPECT_EQ(format_rfc3339_ms(-1), "1969-12-31T23:59:59.999Z");
}

TEST(Rfc3339, a_fraction_may_have_any_number_of_digits_and_counts_in_whole_nanoseconds) {
  auto nine = parse_rfc3339("2026-03-01T08:15:30.123456789Z");
  ASSERT_TRUE(nine);
  for (std::string more : {std::string("9"), std::string("0001"), std::string(1'000, '9')}) {
    auto longer = parse_rfc3339("2026-03-01T08:15:30.123456789" + more + "+00:00");
    ASSERT_TRUE(longer) << more;
    EXPECT_EQ(longer->unix_ns, nine->unix_ns);
  }
  EXPECT_FALSE(parse_rfc3339("2026-03-01T08:15:30." + std::string(1'000, '9') + "x"));
}

TEST(Rfc3339, a_year_that_nanoseconds_do_not_hold_is_told_from_what_is_no_time) {
  for (const char* text : {"1677-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
                           "9999-12-31T23:59:59.999999999Z"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
    EXPECT_TRUE(rfc3339_year_out_of_range(text)) << text;
  }
  for (const char* text : {"1678-01-01T00:00:00+23:59", "2261-12-31T23:59:59-23:59"}) {
    EXPECT_TRUE(parse_rfc3339(text)) << text;
    EXPECT_FALSE(rfc3339_year_out_of_range(text)) << text;
  }
  EXPECT_FALSE(rfc3339_year_out_of_range("9999-13-01T00:00:00Z"));
}

TEST(Rfc3339, a_text_of_any_length_is_bounded_at_the_nanosecond) {
  std::array<char, rfc3339_text_max> buffer{};
  std::string_view usual = "2026-03-01T08:15:30.123456789+01:00";
  EXPECT_EQ(bounded_rfc3339(usual, buffer), usual);
  std::string digits(300, '9');
  for (std::string_view offset : {"Z", "z", "-05:30"}) {
    std::string text = "2026-03-01T08:15:30." + digits + std::string(offset);
    std::string_view bounded = bounded_rfc3339(text, buffer);
    EXPECT_EQ(bounded, "2026-03-01T08:15:30.999999999" + std::string(offset));
    EXPECT_EQ(parse_rfc3339(bounded)->unix_ns, parse_rfc3339(text)->unix_ns);
  }
}

TEST(Rfc3339, refuses_what_is_not_a_time) {
  for (const char* text :
       {"", "2026-03-01", "2026-03-01T08:15:30", "2026-02-29T08:15:30Z", "2026-03-01 08:15:30Z",
        "2026-03-01T24:00:00Z", "2026-03-01T08:15:30.Z", "2026-03-01T08:15:30.1234567891",
        "2026-03-01T08:15:30+1:00", "2026-03-01T08:15:30Zx", "2026-03-01T08:15:60Z",
        "2026-13-01T08:15:30Z", "+026-03-01T08:15:30Z", "2026-03-01T08:15:30+24:00"}) {
    EXPECT_FALSE(parse_rfc3339(text)) << text;
  }
  EXPECT_TRUE(parse_rfc3339("2016-12-31T23:59:60Z"));
  EXPECT_TRUE(parse_rfc3339("2017-01-01T00:59:60+01:00"));
}

TEST(Uuid, text_and_back) {
  Uuid id = Uuid::random();
  EXPECT_EQ(Uuid::parse(id.text()), id);
  EXPECT_FALSE(Uuid::parse("not a uuid"));
  EXPECT_FALSE(Uuid::parse(std::string(36, 'g')));
}

TEST(RecordId, is_deterministic_distinct_and_sorted_by_time) {
  RecordOrigin origin{Uuid::random(), 3, 812, 1'700'000'000'123'456'789};
  Uuid first = record_id(origin);
  EXPECT_EQ(record_id(origin), first);
  EXPECT_EQ(first.bytes[6] >> 4, 8);
  EXPECT_EQ(first.bytes[8] >> 6, 2);
  RecordOrigin next = origin;
  next.sequence = 813;
  EXPECT_NE(record_id(next), first);
  next.received_ns += 1'000'000;
  EXPECT_GT(record_id(next), first);
}

TEST(Error, every_code_has_a_row) {
  for (int i = 0; i < static_cast<int>(ErrorCode::count_); ++i) {
    const ErrorTraits& row = traits(static_cast<ErrorCode>(i));
    EXPECT_FALSE(row.label.empty());
    EXPECT_GE(row.http, 400);
  }
}

}  // namespace
}  // namespace trialwire
