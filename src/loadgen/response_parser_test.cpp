// SPDX-License-Identifier: Apache-2.0
#include "loadgen/response_parser.hpp"

#include <gtest/gtest.h>

namespace trialwire::loadgen {
namespace {

using State = ParsedResponse::State;

constexpr std::string_view ok =
    "HTTP/1.1 200 OK\r\nDate: Sat, 01 Mar 2025 08:15:30 GMT\r\nContent-Length: 5\r\n\r\nhello";

TEST(ResponseParser, takes_one_response_and_leaves_the_next) {
  const std::string bytes = std::string(ok) + "HTTP/1.1 400 ";
  const auto parsed = parse_response(bytes);
  ASSERT_EQ(parsed.state, State::complete);
  EXPECT_EQ(parsed.status, 200);
  EXPECT_EQ(parsed.body, "hello");
  EXPECT_EQ(parsed.consumed, ok.size());
  EXPECT_FALSE(parsed.closes);
}

TEST(ResponseParser, every_prefix_is_incomplete) {
  for (std::size_t size = 0; size < ok.size(); ++size) {
    EXPECT_EQ(parse_response(ok.substr(0, size)).state, State::incomplete) << size;
  }
}

TEST(ResponseParser, names_are_read_in_any_case_and_values_without_spaces) {
  const auto parsed = parse_response(
      "HTTP/1.1 503 Busy\r\nCONNECTION:  Close \r\ncontent-length:2\r\nRetry-After: 1\r\n\r\n{}");
  ASSERT_EQ(parsed.state, State::complete);
  EXPECT_EQ(parsed.status, 503);
  EXPECT_TRUE(parsed.closes);
  EXPECT_EQ(parsed.body, "{}");
}

TEST(ResponseParser, skips_interim_responses_and_knows_those_without_a_body) {
  const auto parsed =
      parse_response("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
  ASSERT_EQ(parsed.state, State::complete);
  EXPECT_EQ(parsed.status, 204);
  EXPECT_EQ(parsed.consumed, 52U);
}

TEST(ResponseParser, refuses_what_it_cannot_frame) {
  for (const std::string_view bytes : {
           "SSH-2.0-OpenSSH_9.2p1\r\n",
           "HTTP/1.1 2x0 OK\r\n\r\n",
           "HTTP/1.1 700 Much\r\n\r\n",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
       }) {
    EXPECT_EQ(parse_response(bytes).state, State::malformed) << bytes;
  }
}

TEST(ResponseParser, refuses_a_head_without_end) {
  const std::string endless = "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x');
  EXPECT_EQ(parse_response(endless).state, State::malformed);
}

}  // namespace
}  // namespace trialwire::loadgen
