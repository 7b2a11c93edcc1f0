// SPDX-License-Identifier: Apache-2.0
#include "storage/page_cursor.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace trialwire::storage {
namespace {

constexpr SipKey key{0x0123456789abcdef, 0xfedcba9876543210};

RC_GTEST_PROP(PageCursor, comes_back_as_it_was, (std::int64_t timestamp, std::int64_t id)) {
  std::string text = encode_page_cursor({timestamp, id}, key);
  RC_ASSERT(text.size() == 44U);
  RC_ASSERT(decode_page_cursor(text, key) == (PagePosition{timestamp, id}));
}

TEST(PageCursor, every_changed_character_is_noticed) {
  std::string text = encode_page_cursor({1'700'000'000'000'000'000, 42}, key);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string forged = text;
    forged[i] = forged[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(decode_page_cursor(forged, key)) << i;
  }
}

std::string bits_of(const std::string& text) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string bits;
  for (char c : text) {
    for (int bit = 5; bit >= 0; --bit) bits += (alphabet.find(c) >> bit) & 1U ? '1' : '0';
  }
  return bits;
}

TEST(PageCursor, tells_nothing_of_where_it_stands) {
  // Neighbours, as two pages would be: no bit of one says anything of the other's.
  const std::string one = bits_of(encode_page_cursor({1'700'000'000'000'000'000, 42}, key));
  std::size_t same = 0;
  std::size_t all = 0;
  for (std::int64_t id = 43; id < 143; ++id) {
    const std::string other = bits_of(encode_page_cursor({1'700'000'000'000'000'000, id}, key));
    for (std::size_t i = 0; i < one.size(); ++i, ++all) same += one[i] == other[i] ? 1 : 0;
  }
  // 26,400 throws of a coin: within 6 standard deviations, of 81.
  EXPECT_NEAR(static_cast<double>(same), static_cast<double>(all) / 2, 500);
  EXPECT_EQ(encode_page_cursor({1, 2}, key), encode_page_cursor({1, 2}, key));
}

TEST(PageCursor, one_of_another_database_is_refused) {
  EXPECT_FALSE(decode_page_cursor(encode_page_cursor({1, 2}, key), SipKey{1, 2}));
}

TEST(PageCursor, text_that_is_none_is_refused) {
  std::string text = encode_page_cursor({1, 2}, key);
  EXPECT_FALSE(decode_page_cursor("", key));
  EXPECT_FALSE(decode_page_cursor("zzz", key));
  EXPECT_FALSE(decode_page_cursor(text + "AAAA", key));
  EXPECT_FALSE(decode_page_cursor(text.substr(0, 40), key));
  text[5] = '+';
  EXPECT_FALSE(decode_page_cursor(text, key));
}

}  // namespace
}  // namespace trialwire::storage
