// SPDX-License-Identifier: Apache-2.0
#include "ingest/request_head.hpp"

#include <gtest/gtest.h>

#include <string>

namespace trialwire::ingest {
namespace {

std::expected<RequestHead, Refusal> read(std::initializer_list<net::HeaderField> headers) {
  std::vector<net::HeaderField> list(headers);
  net::Request request;
  request.headers = list;
  return read_request_head(request);
}

TEST(RequestHead, takes_json_and_ndjson_in_utf8) {
  EXPECT_EQ(read({})->media_type, MediaType::json);
  EXPECT_EQ(read({{"Content-Type", ""}})->media_type, MediaType::json);
  for (std::string_view value : {"application/json", "Application/JSON ; charset=utf-8",
                                 "application/json;charset=\"UTF-8\"", "application/json; v=1"}) {
    auto head = read({{"content-type", value}});
    ASSERT_TRUE(head.has_value()) << value;
    EXPECT_EQ(head->media_type, MediaType::json);
  }
  EXPECT_EQ(read({{"Content-Type", "application/x-ndjson; charset=utf-8"}})->media_type,
            MediaType::ndjson);
}

TEST(RequestHead, refuses_other_media_types_and_encodings) {
  for (std::string_view value :
       {"text/plain", "application/jsonx", "application/json; charset=latin1", "application", ";",
        "application/xml; charset=utf-8"}) {
    auto head = read({{"Content-Type", value}});
    ASSERT_FALSE(head.has_value()) << value;
    EXPECT_EQ(head.error().code, ErrorCode::unsupported_media_type);
  }
  for (std::string_view value : {"br", "deflate", "gzip, gzip", "zstd"}) {
    EXPECT_EQ(read({{"Content-Encoding", value}}).error().field, "Content-Encoding") << value;
  }
  EXPECT_FALSE(read({{"Content-Encoding", "gzip"}, {"Content-Encoding", "gzip"}}).has_value());
  EXPECT_TRUE(read({{"Content-Encoding", "X-GZIP"}})->gzip);
  EXPECT_FALSE(read({{"Content-Encoding", "identity"}})->gzip);
}

TEST(RequestHead, refuses_a_second_content_type_even_of_the_same_value) {
  for (std::string_view second : {"application/x-ndjson", "application/json", "text/plain", ""}) {
    auto head = read({{"Content-Type", "application/json"}, {"content-type", second}});
    ASSERT_FALSE(head.has_value()) << second;
    EXPECT_EQ(head.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(head.error().field, "Content-Type");
  }
  EXPECT_FALSE(read({{"Content-Type", ""}, {"Content-Type", "application/json"}}).has_value());
}

TEST(RequestHead, bounds_the_idempotency_key) {
  std::string longest(255, 'k');
  EXPECT_EQ(read({{"Idempotency-Key", longest}})->idempotency_key, longest);
  EXPECT_FALSE(read({{"Idempotency-Key", "a"}, {"Idempotency-Key", "b"}}).has_value());
  for (std::string key : {longest + "k", std::string("a\tb"), std::string("\xc3\xa9")}) {
    auto head = read({{"Idempotency-Key", key}});
    ASSERT_FALSE(head.has_value());
    EXPECT_EQ(head.error().code, ErrorCode::invalid_argument);
  }
}

TEST(RequestHead, ignores_a_trace_context_that_is_not_one) {
  std::string valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(read({{"traceparent", valid}})->traceparent, valid);
  const std::string later = "01" + valid.substr(2) + "-more";
  EXPECT_EQ(read({{"traceparent", later}})->traceparent, later);
  EXPECT_TRUE(read({{"traceparent", valid}, {"traceparent", valid}})->traceparent.empty());
  for (const std::string& bad : std::vector<std::string>{
           valid + "-more", "ff" + valid.substr(2), valid.substr(1), std::string(),
           "00-00000000000000000000000000000000-b7ad6b7169203331-01",
           "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
           "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01", "01" + valid.substr(2) + "x",
           "01" + valid.substr(2) + "-" + std::string(300, 'a')}) {
    EXPECT_TRUE(read({{"traceparent", bad}})->traceparent.empty()) << bad;
  }
}

}  // namespace
}  // namespace trialwire::ingest
