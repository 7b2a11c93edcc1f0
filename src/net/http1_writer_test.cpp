// SPDX-License-Identifier: Apache-2.0
#include "net/http1_writer.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

namespace trialwire::net {
namespace {

constexpr std::int64_t rfc_example_ns = 784'111'777'000'000'000;  // Sun, 06 Nov 1994 08:49:37 GMT

struct Written {
  explicit Written(ResponseFraming framing = {}) { writer.begin(framing, rfc_example_ns); }
  std::string text() { return std::string(out.view()); }
  ByteBuffer out;
  DateLine date;
  Http1Writer writer{out, date};
};

TEST(Http1Writer, writes_a_response_with_length_and_date) {
  Written w;
  w.writer.start(200).header("X-A", "b").body("text/plain", "hello");
  EXPECT_EQ(w.text(),
            "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-A: b\r\n"
            "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_TRUE(w.writer.finished());
}

TEST(Http1Writer, answers_head_with_the_length_of_the_body_it_leaves_out) {
  Written w({.head_only = true});
  w.writer.start(200).body("text/plain", "hello");
  EXPECT_TRUE(w.text().ends_with("Content-Length: 5\r\n\r\n"));
}

TEST(Http1Writer, says_that_it_closes_or_to_http_1_0_that_it_stays) {
  Written closes({.close = true});
  closes.writer.start(200).body("text/plain", "");
  EXPECT_NE(closes.text().find("Connection: close\r\n"), std::string::npos);
  Written stays({.keep_alive_1_0 = true});
  stays.writer.start(200).body("text/plain", "");
  EXPECT_NE(stays.text().find("Connection: keep-alive\r\n"), std::string::npos);
}

TEST(Http1Writer, a_204_has_no_length_and_an_empty_200_has_one) {
  Written none;
  none.writer.start(204).finish();
  EXPECT_EQ(none.text().find("Content-Length"), std::string::npos);
  Written empty;
  empty.writer.start(200).finish();
  EXPECT_NE(empty.text().find("Content-Length: 0\r\n"), std::string::npos);
}

TEST(Http1Writer, writes_a_problem_with_escaped_text_and_extra_members) {
  Written w;
  w.writer.problem(ErrorCode::invalid_argument, "a \"quoted\" \\ \n\x01 word", R"("errors":[])");
  EXPECT_TRUE(w.text().starts_with("HTTP/1.1 400 Bad Request\r\n"));
  EXPECT_NE(w.text().find("Content-Type: application/problem+json\r\n"), std::string::npos);
  EXPECT_TRUE(w.text().ends_with(R"({"type":"about:blank","title":"Bad Request","status":400,)"
                                 R"("error":"a \"quoted\" \\ \u000a\u0001 word","errors":[]})"))
      << w.text();
}

TEST(Http1Writer, a_problem_is_that_of_its_own_answer_whatever_came_before) {
  struct Problem {
    Status status;
    std::string_view text;
    std::string_view detail;
  };
  constexpr std::array<Problem, 9> problems{{{429, "later", {}},
                                             {429, "later", {}},
                                             {503, "later", {}},
                                             {503, "much later", {}},
                                             {503, "much later", R"("errors":[])"},
                                             {503, "much later", {}},
                                             {503, "much later", R"("errors":[1])"},
                                             {503, "much later", R"("errors":[2])"},
                                             {429, "later", {}}}};
  Written all;
  std::string each_by_itself;
  for (const Problem& problem : problems) {
    all.writer.begin({}, rfc_example_ns);
    all.writer.problem_status(problem.status, problem.text, problem.detail);
    Written alone;
    alone.writer.problem_status(problem.status, problem.text, problem.detail);
    each_by_itself += alone.text();
  }
  EXPECT_EQ(all.text(), each_by_itself);
}

TEST(Http1Writer, tells_when_to_retry) {
  for (ErrorCode code : {ErrorCode::rate_limited, ErrorCode::unavailable, ErrorCode::overloaded}) {
    Written w;
    w.writer.problem(code, "later", {});
    EXPECT_NE(w.text().find("Retry-After: 1\r\n"), std::string::npos);
  }
  Written w;
  w.writer.problem(ErrorCode::not_found, "no", {});
  EXPECT_EQ(w.text().find("Retry-After"), std::string::npos);
}

TEST(Http1Writer, takes_back_what_was_written_since_begin) {
  Written w;
  w.writer.start(200).body("text/plain", "first");
  std::string first = w.text();
  w.writer.begin({}, rfc_example_ns);
  w.writer.start(200).header("A", "b");
  w.writer.discard();
  EXPECT_EQ(w.text(), first);
  w.writer.start(500).finish();
  EXPECT_EQ(w.writer.status(), 500);
}

TEST(Http1Writer, the_date_moves_with_the_clock) {
  DateLine date;
  EXPECT_EQ(date.at(0), "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
  EXPECT_EQ(date.at(1'709'164'800'999'999'999), "Date: Thu, 29 Feb 2024 00:00:00 GMT\r\n");
}

TEST(Http1WriterDeathTest, a_header_that_would_split_the_response_ends_the_process) {
  Written w;
  w.writer.start(200);
  EXPECT_DEATH(w.writer.header("X", "a\r\nSet-Cookie: b"), "safe_in_header");
}

TEST(Http1WriterDeathTest, a_second_answer_ends_the_process) {
  Written w;
  w.writer.start(200).finish();
  EXPECT_DEATH(w.writer.start(200), "stage_");
}

}  // namespace
}  // namespace trialwire::net
