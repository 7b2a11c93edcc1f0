// SPDX-License-Identifier: Apache-2.0
// Single requests are cases of tests/conformance/http; here is what those cannot show.
#include "net/parser.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace trialwire::net {
namespace {

struct Outcome {
  ParseState state;
  RequestHead head;
  Refusal refusal;
};

Outcome parse(std::string_view input, HeadLimits limits = {}) {
  Outcome outcome;
  outcome.state = parse_head(input, limits, outcome.head, outcome.refusal);
  return outcome;
}

TEST(ParseHead, splits_a_request_into_its_parts) {
  std::string text =
      "POST /v1/epro/reports?a=b&c HTTP/1.1\r\nHost: example.org:8080\r\n"
      "Content-Type:\t application/json \r\nX-Empty:\r\nContent-Length: 12\r\n\r\nbody";
  Outcome got = parse(text);
  ASSERT_EQ(got.state, ParseState::complete);
  EXPECT_EQ(got.head.method, Method::post);
  EXPECT_EQ(got.head.method_text, "POST");
  EXPECT_EQ(got.head.path, "/v1/epro/reports");
  EXPECT_EQ(got.head.query, "a=b&c");
  EXPECT_EQ(got.head.host, "example.org:8080");
  EXPECT_EQ(got.head.content_length, 12U);
  EXPECT_EQ(got.head.bytes, text.size() - 4);
  ASSERT_EQ(got.head.field_count, 4U);
  EXPECT_EQ(got.head.fields[1].value, "application/json");
  EXPECT_EQ(got.head.fields[2].value, "");
  EXPECT_TRUE(got.head.keep_alive);
}

TEST(ParseHead, the_authority_of_an_absolute_target_overrides_host) {
  Outcome got = parse("GET http://other.example:81/p?q HTTP/1.1\r\nHost: one.example\r\n\r\n");
  ASSERT_EQ(got.state, ParseState::complete);
  EXPECT_EQ(got.head.host, "other.example:81");
  EXPECT_EQ(got.head.path, "/p");
  EXPECT_EQ(got.head.query, "q");
}

TEST(ParseHead, an_absolute_target_without_path_means_the_root) {
  Outcome got = parse("GET http://other.example HTTP/1.1\r\nHost: one.example\r\n\r\n");
  ASSERT_EQ(got.state, ParseState::complete);
  EXPECT_EQ(got.head.path, "/");
}

TEST(ParseHead, tags_well_known_headers_in_any_case) {
  Outcome got = parse(
      "GET / HTTP/1.1\r\nhOST: a\r\nTRACEPARENT: t\r\ncontent-TYPE: c\r\nAuthorization: u\r\n"
      "Idempotency-Key: k\r\ncontent-encoding: gzip\r\nexpect: 100-continue\r\n\r\n");
  ASSERT_EQ(got.state, ParseState::complete);
  Request request{.headers = got.head.headers(), .known = &got.head.known};
  EXPECT_EQ(request.header("Host"), "a");
  EXPECT_EQ(request.header("traceparent"), "t");
  EXPECT_EQ(request.header("Content-Type"), "c");
  EXPECT_EQ(request.header("authorization"), "u");
  EXPECT_EQ(request.header("idempotency-key"), "k");
  EXPECT_EQ(request.header("Content-Encoding"), "gzip");
  EXPECT_EQ(request.header("Content-Length"), "");
  EXPECT_TRUE(got.head.expects_continue);
}

TEST(Request, finds_headers_without_the_parsers_tags) {
  HeaderField fields[] = {{"X-One", "1"}, {"content-type", "a"}, {"x-one", "2"}};
  Request request{.headers = fields};
  EXPECT_EQ(request.header("x-ONE"), "1");
  EXPECT_EQ(request.header("Content-Type"), "a");
  EXPECT_EQ(request.header("Host"), "");
}

TEST(KnownHeader, is_found_for_its_exact_name_alone) {
  for (std::string name :
       {"host", "expect", "connection", "traceparent", "content-type", "authorization",
        "content-length", "idempotency-key", "content-encoding", "transfer-encoding"}) {
    EXPECT_TRUE(known_header(name)) << name;
    for (std::size_t i = 0; i < name.size(); ++i) {
      std::string other = name;
      other[i] = other[i] == 'x' ? 'y' : 'x';
      EXPECT_FALSE(known_header(other)) << other;
    }
    EXPECT_FALSE(known_header(name + "s"));
    EXPECT_FALSE(known_header(name.substr(1)));
  }
  EXPECT_FALSE(known_header(""));
}

const std::vector<std::string> samples{
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nPOST /a%20b?x HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\n\r\nabc",
    "GET / HTTP/1.1\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
    "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "GET /../x HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
    "G\x80T / HTTP/1.1\r\nHost: a\r\n\r\n",
};

/// What comes of the bytes when they arrive one after the other.
Outcome parse_in_pieces(std::string_view input, HeadLimits limits) {
  for (std::size_t size = 1; size <= input.size(); ++size) {
    Outcome got = parse(input.substr(0, size), limits);
    if (got.state != ParseState::incomplete) return got;
  }
  return parse(input, limits);
}

TEST(ParseHead, one_piece_or_many_give_the_same_outcome) {
  for (HeadLimits limits : {HeadLimits{}, HeadLimits{64, 24}, HeadLimits{32, 32}}) {
    for (const std::string& sample : samples) {
      Outcome whole = parse(sample, limits);
      Outcome pieces = parse_in_pieces(sample, limits);
      EXPECT_EQ(whole.state, pieces.state) << sample;
      EXPECT_EQ(whole.refusal.status, pieces.refusal.status) << sample;
      if (whole.state == ParseState::complete) {
        EXPECT_EQ(whole.head.bytes, pieces.head.bytes) << sample;
      }
    }
  }
}

TEST(ParseHead, one_piece_or_many_give_the_same_outcome_for_damaged_requests) {
  std::mt19937 random(7);
  for (int round = 0; round < 3'000; ++round) {
    std::string text = samples[random() % samples.size()];
    for (unsigned changes = random() % 3; changes > 0; --changes) {
      constexpr std::string_view bytes = "\r\n\t :;,=%./?*HT10\x7f\x80x";
      std::size_t at = random() % text.size();
      if (random() % 2 != 0) {
        text[at] = bytes[random() % bytes.size()];
      } else {
        text.insert(at, 1, bytes[random() % bytes.size()]);
      }
    }
    HeadLimits limits{40 + random() % 100, 20 + random() % 60};
    Outcome whole = parse(text, limits);
    Outcome pieces = parse_in_pieces(text, limits);
    ASSERT_EQ(whole.state, pieces.state) << text;
    ASSERT_EQ(whole.refusal.status, pieces.refusal.status) << text;
  }
}

TEST(ParseHead, a_head_of_exactly_the_limit_is_accepted_and_one_more_byte_is_not) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(parse(text, {text.size(), 100}).state, ParseState::complete);
  Outcome over = parse(text, {text.size() - 1, 100});
  EXPECT_EQ(over.state, ParseState::refused);
  EXPECT_EQ(over.refusal.status, 431);
}

TEST(ParseHead, a_request_line_over_its_limit_is_414_whether_or_not_it_ends) {
  std::string line = "GET /" + std::string(100, 'a') + " HTTP/1.1\r\n";
  std::string text = line + "Host: a\r\n\r\n";
  EXPECT_EQ(parse(text, {1'000, line.size()}).state, ParseState::complete);
  EXPECT_EQ(parse(text, {1'000, line.size() - 1}).refusal.status, 414);
  EXPECT_EQ(parse(line.substr(0, 50), {1'000, 50}).refusal.status, 414);
}

TEST(ParseHead, the_hundred_and_first_header_is_431) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 99; ++i) text += "X: y\r\n";
  EXPECT_EQ(parse(text + "\r\n").state, ParseState::complete);
  EXPECT_EQ(parse(text + "X: y\r\n").refusal.status, 431);
}

TEST(UrlDecode, decodes_and_refuses_malformed_escapes) {
  EXPECT_EQ(url_decode("a%20b%2Fc", false), "a b/c");
  EXPECT_EQ(url_decode("a+b", true), "a b");
  EXPECT_EQ(url_decode("a+b", false), "a+b");
  for (std::string_view bad : {"%", "a%2", "%zz", "%2g"})
    EXPECT_FALSE(url_decode(bad, true)) << bad;
}

}  // namespace
}  // namespace trialwire::net
