// SPDX-License-Identifier: Apache-2.0
#include "base/url.hpp"

#include <gtest/gtest.h>

namespace trialwire {
namespace {

TEST(Url, every_part_is_found_and_decoded) {
  auto url = parse_url("Postgres://nurse%40ward:p%3Aw%2F1@db.example.org:5433/trials?a=1&b=%26x");
  ASSERT_TRUE(url) << url.error();
  EXPECT_EQ(url->scheme, "postgres");
  EXPECT_EQ(url->user, "nurse@ward");
  EXPECT_EQ(url->password, "p:w/1");
  EXPECT_EQ(url->host, "db.example.org");
  EXPECT_EQ(url->port, 5433);
  EXPECT_EQ(url->path, "trials");
  EXPECT_EQ(url->parameter("a"), "1");
  EXPECT_EQ(url->parameter("b"), "&x");
  EXPECT_FALSE(url->parameter("c"));
}

TEST(Url, what_is_absent_is_absent) {
  auto url = parse_url("mysql://db");
  ASSERT_TRUE(url) << url.error();
  EXPECT_FALSE(url->user || url->password);
  EXPECT_EQ(url->host, "db");
  EXPECT_EQ(url->port, 0);
  EXPECT_EQ(url->path, "");
  EXPECT_TRUE(url->parameters.empty());
  url = parse_url("mysql://user:@/trials?");
  ASSERT_TRUE(url) << url.error();
  EXPECT_EQ(url->user, "user");
  EXPECT_EQ(url->password, "");
  EXPECT_EQ(url->host, "");
}

TEST(Url, an_ipv6_address_has_brackets) {
  auto url = parse_url("mysql://[::1]:3306/trials");
  ASSERT_TRUE(url) << url.error();
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 3306);
  EXPECT_FALSE(parse_url("mysql://[::1:3306/trials"));
  EXPECT_FALSE(parse_url("mysql://[::1]x/trials"));
}

TEST(Url, an_at_sign_in_a_password_is_part_of_it) {
  auto url = parse_url("mysql://user:p@ss@host/db");
  ASSERT_TRUE(url) << url.error();
  EXPECT_EQ(url->password, "p@ss");
  EXPECT_EQ(url->host, "host");
}

TEST(Url, a_zero_byte_is_refused_written_either_way) {
  EXPECT_FALSE(parse_url(std::string_view("mysql://u:p\0w@h/d", 18)));
  EXPECT_FALSE(parse_url("mysql://u:p%00w@h/d"));
}

TEST(Url, what_is_wrong_is_said_without_repeating_it) {
  for (const char* text :
       {"", "db", "mysql:/x", "://x", "my sql://x", "mysql://u:secret@h:0/d",
        "mysql://u:secret@h:65536/d", "mysql://u:secret@h:12x/d", "mysql://u:secr%2et%zz@h/d",
        "mysql://u:secret%00@h/d", "mysql://h/%f", "mysql://h/d?a=%", "mysql://u:secret#x@h/d",
        "mysql://u:secret word@h/d", "mysql://u:secr\x01t@h"}) {
    auto url = parse_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_FALSE(url.error().contains("secr")) << url.error();
  }
}

}  // namespace
}  // namespace trialwire
