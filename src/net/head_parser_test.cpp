// SPDX-License-Identifier: Apache-2.0
#include "net/head_parser.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace trialwire::net {
namespace {

class HeadParserTest : public testing::Test {
 protected:
  ParseState parse(std::string text) {
    // In memory of its own, which is gone when the next one is parsed.
    input_ = std::make_unique<std::string>(std::move(text));
    return parser_.parse(*input_, {}, head_, refusal_);
  }
  /// Every view of the head, as text.
  std::string seen() const {
    std::string all;
    for (std::string_view view : {head_.method_text, head_.path, head_.query, head_.host}) {
      all.append(view).append("|");
    }
    for (const HeaderField& field : head_.headers()) {
      all.append(field.name).append("=").append(field.value).append("|");
    }
    return all;
  }
  bool points_into_input() const {
    const char* begin = input_->data();
    for (const HeaderField& field : head_.headers()) {
      if (field.name.data() < begin || field.value.data() > begin + input_->size()) return false;
    }
    return head_.path.data() >= begin && head_.path.data() <= begin + input_->size();
  }

  HeadParser parser_;
  RequestHead head_;
  Refusal refusal_;
  std::unique_ptr<std::string> input_;
};

constexpr const char* post =
    "POST /v1/epro/reports?x=1 HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nX-Empty:\r\n\r\n";

TEST_F(HeadParserTest, a_head_that_comes_again_is_the_same_and_points_into_the_new_bytes) {
  ASSERT_EQ(parse(post), ParseState::complete);
  const std::string first = seen();
  ASSERT_EQ(parse(std::string(post) + "hello" + post), ParseState::complete);
  EXPECT_EQ(seen(), first);
  EXPECT_TRUE(points_into_input());
  EXPECT_EQ(head_.content_length, 5U);
  EXPECT_EQ(head_.bytes, std::string_view(post).size());
}

TEST_F(HeadParserTest, one_other_byte_makes_another_head) {
  ASSERT_EQ(parse(post), ParseState::complete);
  std::string other = post;
  other[other.find('5')] = '7';
  ASSERT_EQ(parse(other), ParseState::complete);
  EXPECT_EQ(head_.content_length, 7U);
  other[other.find("HTTP")] = 'h';
  EXPECT_EQ(parse(other), ParseState::refused);
  ASSERT_EQ(parse(post), ParseState::complete);
  EXPECT_EQ(head_.content_length, 5U);
}

TEST_F(HeadParserTest, the_beginning_of_the_same_head_is_incomplete_and_spoils_nothing) {
  const std::string whole = post;
  ASSERT_EQ(parse(whole), ParseState::complete);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ASSERT_EQ(parse(whole.substr(0, size)), ParseState::incomplete) << size;
    ASSERT_EQ(parse(whole), ParseState::complete);
    ASSERT_EQ(head_.content_length, 5U);
  }
}

TEST_F(HeadParserTest, a_path_that_the_target_lacks_stays_the_root) {
  const std::string text = "GET http://h HTTP/1.1\r\nHost: h\r\n\r\n";
  ASSERT_EQ(parse(text), ParseState::complete);
  ASSERT_EQ(parse(text), ParseState::complete);
  EXPECT_EQ(head_.path, "/");
  EXPECT_EQ(head_.host, "h");
  EXPECT_TRUE(head_.query.empty());
}

TEST_F(HeadParserTest, what_was_changed_is_parsed_again_once_it_is_forgotten) {
  ASSERT_EQ(parse(post), ParseState::complete);
  head_.keep_alive = false;
  parser_.forget();
  ASSERT_EQ(parse(post), ParseState::complete);
  EXPECT_TRUE(head_.keep_alive);
}

}  // namespace
}  // namespace trialwire::net
