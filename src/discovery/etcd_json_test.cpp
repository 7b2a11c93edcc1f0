// SPDX-License-Identifier: Apache-2.0
#include "discovery/etcd_json.hpp"

#include <gmock/gmock.h>

#include "support/random.hpp"

namespace trialwire::discovery {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(EtcdJson, base64_is_that_of_rfc_4648) {
  for (auto [plain, encoded] :
       {std::pair("", ""), std::pair("f", "Zg=="), std::pair("fo", "Zm8="),
        std::pair("foo", "Zm9v"), std::pair("foob", "Zm9vYg=="), std::pair("foobar", "Zm9vYmFy")}) {
    EXPECT_EQ(base64(plain), encoded);
    EXPECT_EQ(base64_decoded(encoded), plain);
  }
  for (const char* text : {"Z", "Zg=", "Zm9", "Z!==", "\xff\xff\xff\xff"}) {
    EXPECT_FALSE(base64_decoded(text)) << text;
  }
  support::Random random(1);
  for (int i = 0; i < 300; ++i) {
    std::string bytes(random.below(70), '\0');
    for (char& c : bytes) c = static_cast<char>(random.below(256));
    EXPECT_EQ(base64_decoded(base64(bytes)), bytes);
  }
}

TEST(EtcdJson, a_prefix_ends_before_the_next_one) {
  EXPECT_EQ(prefix_end("collection.rpc/"), "collection.rpc0");
  EXPECT_EQ(prefix_end("a\xff"), "b");
  EXPECT_EQ(prefix_end("\xff"), "");
}

TEST(EtcdJson, asks_as_the_gateway_understands_it) {
  EXPECT_EQ(grant_body(std::chrono::seconds(10)), R"({"TTL":10})");
  EXPECT_EQ(lease_body(7587868273216913922), R"({"ID":"7587868273216913922"})");
  const std::vector<KeyValue> items{{"a", "b", 7}, {"foo", "bar", 8}};
  EXPECT_EQ(put_body(items),
            R"({"success":[{"request_put":{"key":"YQ==","value":"Yg==","lease":"7"}},)"
            R"({"request_put":{"key":"Zm9v","value":"YmFy","lease":"8"}}]})");
  const std::vector<std::string> keys{"a", "foo"};
  EXPECT_EQ(get_body(keys), R"({"success":[{"request_range":{"key":"YQ=="}},)"
                            R"({"request_range":{"key":"Zm9v"}}]})");
  EXPECT_EQ(watch_body("foo", 6),
            R"({"create_request":{"key":"Zm9v","range_end":"Zm9w","start_revision":"6"}})");
  EXPECT_EQ(login_body("a\"b", "c\\d"), R"({"name":"a\"b","password":"c\\d"})");
}

TEST(EtcdJson, reads_leases) {
  EXPECT_EQ(*read_grant(R"({"header":{"revision":"5"},"ID":"7587868273216913922","TTL":"10"})"),
            7587868273216913922);
  EXPECT_EQ(read_keep_alive("{\"result\":{\"header\":{},\"ID\":\"7\",\"TTL\":\"10\"}}\n")->count(),
            10);
  EXPECT_EQ(read_keep_alive(R"({"result":{"header":{},"ID":"7"}})")->count(), 0) << "it is no more";
}

TEST(EtcdJson, reads_keys_with_the_revision_of_the_store) {
  auto range = read_range(
      R"({"header":{"revision":"12"},"kvs":[{"key":"YQ==","create_revision":"3","value":"Yg==",)"
      R"("lease":"7"},{"key":"Zm9v"}],"count":"2"})");
  ASSERT_TRUE(range) << range.error().text;
  EXPECT_EQ(range->revision, 12);
  ASSERT_THAT(range->items, SizeIs(2));
  EXPECT_EQ(range->items[0].key, "a");
  EXPECT_EQ(range->items[0].value, "b");
  EXPECT_EQ(range->items[0].lease, 7);
  EXPECT_EQ(range->items[1].value, "") << "what is empty is left out";
  EXPECT_THAT(read_range(R"({"header":{"revision":"12"}})")->items, SizeIs(0));
  auto several =
      read_ranges(R"({"header":{"revision":"9"},"succeeded":true,"responses":[)"
                  R"({"response_range":{"header":{"revision":"9"},"kvs":[{"key":"YQ=="}]}},)"
                  R"({"response_range":{"header":{"revision":"9"}}}]})");
  ASSERT_TRUE(several) << several.error().text;
  EXPECT_THAT(several->items, SizeIs(1));
}

TEST(EtcdJson, reads_what_is_watched) {
  auto line = read_watch_line(
      R"({"result":{"header":{"revision":"9"},"events":[{"kv":{"key":"YQ==","value":"Yg=="}},)"
      R"({"type":"DELETE","kv":{"key":"Zm9v","mod_revision":"9"}}]}})");
  ASSERT_TRUE(line) << line.error().text;
  ASSERT_THAT(line->events, SizeIs(2));
  EXPECT_FALSE(line->events[0].deleted);
  EXPECT_EQ(line->events[0].item.value, "b");
  EXPECT_TRUE(line->events[1].deleted);
  EXPECT_EQ(line->events[1].item.key, "foo");
  EXPECT_FALSE(line->ended);
  EXPECT_FALSE(read_watch_line(R"({"result":{"created":true}})")->ended);
  EXPECT_TRUE(read_watch_line(R"({"result":{"canceled":true}})")->ended);
  EXPECT_TRUE(read_watch_line(R"({"result":{"canceled":true,"compact_revision":"7"}})")->ended);
}

TEST(EtcdJson, what_is_not_understood_is_an_error) {
  for (const char* text :
       {"", "{", "[]", "7", "{}", R"({"result":7})", R"({"ID":"x"})", R"({"ID":1.5})",
        R"({"ID":"1x"})", R"({"header":{"revision":"x"}})",
        R"({"header":{"revision":"1"},"kvs":[7]})",
        R"({"header":{"revision":"1"},"kvs":[{"key":"!"}]})",
        R"({"header":{"revision":"1"},"kvs":[{"value":"YQ=="}]})", R"({"responses":[7]})"}) {
    EXPECT_FALSE(read_grant(text)) << text;
    EXPECT_FALSE(read_range(text)) << text;
    EXPECT_FALSE(read_ranges(text)) << text;
    EXPECT_FALSE(read_login(text)) << text;
    EXPECT_FALSE(read_keep_alive(text)) << text;
    EXPECT_FALSE(read_watch_line(text)) << text;
  }
  EXPECT_FALSE(read_watch_line(R"({"result":{"events":[{"kv":{"key":"!"}}]}})"));
  EXPECT_FALSE(read_watch_line(R"({"error":{"grpc_code":14}})"));
}

TEST(EtcdJson, refusals_have_their_code_and_a_bounded_reason) {
  const Error lost =
      read_refusal(404, R"({"error":"etcdserver: requested lease not found","code":5})");
  EXPECT_EQ(lost.code, ErrorCode::not_found);
  EXPECT_THAT(lost.text, HasSubstr("requested lease not found"));
  EXPECT_EQ(read_refusal(401, "").code, ErrorCode::unauthenticated);
  EXPECT_EQ(read_refusal(400, R"({"code":16})").code, ErrorCode::unauthenticated);
  EXPECT_EQ(read_refusal(403, R"({"code":7})").code, ErrorCode::forbidden);
  EXPECT_EQ(read_refusal(500, "<html>").code, ErrorCode::unavailable);
  EXPECT_LT(read_refusal(500, R"({"error":")" + std::string(5'000, 'x') + "\"}").text.size(), 300U);
}

}  // namespace
}  // namespace trialwire::discovery
