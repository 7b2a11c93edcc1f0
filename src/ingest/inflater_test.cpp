// SPDX-License-Identifier: Apache-2.0
#include "ingest/inflater.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "support/gzip.hpp"

namespace trialwire::ingest {
namespace {

using testing::gzip;

RC_GTEST_PROP(Inflater, gives_back_what_was_compressed, (const std::string& text)) {
  Inflater inflater;
  auto result = inflater.inflate(gzip(text), 1 << 20);
  RC_ASSERT(result.has_value());
  RC_ASSERT(*result == text);
}

TEST(Inflater, joins_members) {
  Inflater inflater;
  auto result = inflater.inflate(gzip("one ") + gzip("") + gzip("two"), 100);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(*result, "one two");
}

TEST(Inflater, takes_exactly_the_limit_and_refuses_one_byte_more) {
  for (std::size_t size : {std::size_t{1}, std::size_t{1'000}, std::size_t{300'000}}) {
    Inflater inflater;
    std::string packed = gzip(std::string(size, 'x'));
    auto fits = inflater.inflate(packed, size);
    ASSERT_TRUE(fits.has_value()) << size;
    EXPECT_EQ(fits->size(), size);
    auto too_large = inflater.inflate(packed, size - 1);
    ASSERT_FALSE(too_large.has_value()) << size;
    EXPECT_EQ(too_large.error().code, ErrorCode::payload_too_large);
  }
}

TEST(Inflater, stops_a_bomb_at_the_limit) {
  std::string bomb;
  std::string member = gzip(std::string(4 << 20, '\0'));
  for (int i = 0; i < 64; ++i) bomb += member;
  Inflater inflater;
  EXPECT_EQ(inflater.inflate(bomb, 1 << 20).error().code, ErrorCode::payload_too_large);
}

TEST(Inflater, refuses_every_cut_and_every_flipped_byte_of_the_trailer) {
  Inflater inflater;
  std::string packed = gzip("a text that is long enough to be compressed, compressed, compressed");
  for (std::size_t size = 0; size < packed.size(); ++size) {
    EXPECT_FALSE(inflater.inflate(packed.substr(0, size), 1'000).has_value()) << size;
  }
  for (std::size_t i = packed.size() - 8; i < packed.size(); ++i) {
    std::string damaged = packed;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(inflater.inflate(damaged, 1'000).has_value()) << i;
  }
  EXPECT_TRUE(inflater.inflate(packed, 1'000).has_value()) << "usable after errors";
}

TEST(Inflater, refuses_what_follows_a_member) {
  Inflater inflater;
  for (std::string_view rest : {"x", "{}", "\x1f", "\x1f\x8b"}) {
    auto result = inflater.inflate(gzip("text") + std::string(rest), 1'000);
    ASSERT_FALSE(result.has_value()) << rest;
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
  }
  EXPECT_FALSE(inflater.inflate(gzip("text") + std::string(8, '\0'), 1'000).has_value());
}

TEST(Inflater, works_after_memory_was_given_back) {
  Inflater inflater;
  std::string packed = gzip(std::string(1 << 20, 'y'));
  ASSERT_TRUE(inflater.inflate(packed, 2 << 20).has_value());
  inflater.shrink(1 << 16);
  auto result = inflater.inflate(packed, 2 << 20);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->size(), std::size_t{1} << 20);
}

}  // namespace
}  // namespace trialwire::ingest
