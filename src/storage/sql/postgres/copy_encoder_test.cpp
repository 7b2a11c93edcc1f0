// SPDX-License-Identifier: Apache-2.0
#include "storage/sql/postgres/copy_encoder.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

#include <fmt/format.h>

namespace trialwire::storage::postgres {
namespace {

std::string hex(const CopyEncoder& encoder) {
  std::string text;
  for (std::byte byte : encoder.view()) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

TEST(CopyEncoder, a_file_begins_with_the_signature_and_ends_with_minus_one) {
  CopyEncoder encoder;
  encoder.header();
  encoder.trailer();
  EXPECT_EQ(hex(encoder),
            "5047434f50590aff0d0a00"
            "00000000"
            "00000000"
            "ffff");
}

TEST(CopyEncoder, a_row_is_as_in_the_manual) {
  CopyEncoder encoder;
  encoder.row(3);
  encoder.integer(7);
  encoder.null();
  encoder.text("ab");
  EXPECT_EQ(hex(encoder),
            "0003"
            "00000008"
            "0000000000000007"
            "ffffffff"
            "00000002"
            "6162");
}

TEST(CopyEncoder, integers_are_big_endian_and_signed) {
  CopyEncoder encoder;
  encoder.integer(-2);
  encoder.integer(std::numeric_limits<std::int64_t>::min());
  encoder.integer(0x0102030405060708);
  EXPECT_EQ(hex(encoder),
            "00000008fffffffffffffffe"
            "000000088000000000000000"
            "000000080102030405060708");
}

TEST(CopyEncoder, reals_are_their_ieee_bits) {
  CopyEncoder encoder;
  encoder.real(36.6);
  encoder.real(-0.0);
  EXPECT_EQ(hex(encoder),
            "0000000840424ccccccccccd"
            "000000088000000000000000");
}

TEST(CopyEncoder, a_uuid_is_its_sixteen_bytes) {
  CopyEncoder encoder;
  encoder.uuid(*Uuid::parse("00112233-4455-6677-8899-aabbccddeeff"));
  EXPECT_EQ(hex(encoder),
            "00000010"
            "00112233445566778899aabbccddeeff");
}

TEST(CopyEncoder, an_empty_text_is_not_null) {
  CopyEncoder encoder;
  encoder.text("");
  encoder.bytes({});
  EXPECT_EQ(hex(encoder),
            "00000000"
            "00000000");
}

TEST(CopyEncoder, bytes_may_hold_anything) {
  CopyEncoder encoder;
  encoder.bytes(as_bytes(std::string_view("\0\xff", 2)));
  EXPECT_EQ(hex(encoder),
            "00000002"
            "00ff");
}

TEST(CopyEncoder, a_row_that_was_begun_can_be_taken_back) {
  CopyEncoder encoder;
  encoder.integer(1);
  std::size_t before = encoder.size();
  encoder.row(9);
  encoder.text(std::string(300'000, 'x'));
  encoder.truncate(before);
  EXPECT_EQ(hex(encoder), "000000080000000000000001");
  encoder.clear();
  EXPECT_EQ(encoder.size(), 0U);
}

}  // namespace
}  // namespace trialwire::storage::postgres
