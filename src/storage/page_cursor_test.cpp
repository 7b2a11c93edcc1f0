// SPDX-License-Identifier: Apache-2.0
#include "storage/page_cursor.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstddef>

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
