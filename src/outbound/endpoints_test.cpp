// SPDX-License-Identifier: Apache-2.0
#include "outbound/endpoints.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "outbound/dns_endpoints.hpp"

namespace trialwire::outbound {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Endpoints, of_a_direct_list_are_each_their_own) {
  auto list = parse_direct("10.0.0.1:80,name-2.example:8080,[fd00::7]:9,10.0.0.1:80");
  ASSERT_TRUE(list) << list.error().text;
  EXPECT_THAT(*list, ElementsAre(Endpoint{"10.0.0.1:80", ""}, Endpoint{"name-2.example:8080", ""},
                                 Endpoint{"[fd00::7]:9", ""}));
}

TEST(Endpoints, of_what_is_no_host_and_port_are_none) {
  for (const char* text : {"", ",", "a", "a:", ":80", "a:0", "a:65536", "a:80,", "a:8x", "a b:80",
                           "a/b:80", "u@a:80", "[::1]", "[x]:80", "::1:80", "a:80\r\n", "a#:80"}) {
    EXPECT_FALSE(parse_direct(text)) << text;
  }
}

TEST(Endpoints, of_a_url_keep_its_path_and_query_as_written) {
  auto url = parse_http_url("https://idp.example/realms/a%2Fb/certs?x=1&y=%20");
  ASSERT_TRUE(url) << url.error().text;
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->endpoint.authority, "idp.example:443");
  EXPECT_EQ(url->target, "/realms/a%2Fb/certs?x=1&y=%20");
  EXPECT_FALSE(url->loopback);
  EXPECT_EQ(parse_http_url("http://h?a")->target, "/?a");
  EXPECT_EQ(parse_http_url("http://h")->target, "/");
  EXPECT_EQ(parse_http_url("http://h:8000/")->endpoint.authority, "h:8000");
  EXPECT_EQ(parse_http_url("HTTPS://[::1]/")->endpoint.authority, "[::1]:443");
}

TEST(Endpoints, of_this_machine_are_known_as_such) {
  for (const char* text :
       {"http://localhost/", "http://127.0.0.1:1/", "http://127.9.9.9/", "http://[::1]:1/"}) {
    EXPECT_TRUE(parse_http_url(text)->loopback) << text;
  }
  for (const char* text : {"http://localhost.example/", "http://128.0.0.1/", "http://[::2]/",
                           "http://127.0.0.1.example/"}) {
    EXPECT_FALSE(parse_http_url(text)->loopback) << text;
  }
}

TEST(Endpoints, of_other_schemes_and_of_urls_with_secrets_are_refused_without_repeating_them) {
  for (const char* text :
       {"file:///etc/passwd", "ftp://secret/", "gopher://secret", "secret", "http://",
        "http:///secret", "http://user:secret@h/", "https://secret@h/", "http://h:secret/",
        "http://h/ secret", "http://h\r\nsecret/", "http://h%2Fsecret/"}) {
    auto url = parse_http_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_THAT(url.error().text, ::testing::Not(HasSubstr("secret"))) << text;
  }
}

template <typename Condition>
void wait_until(Condition condition) {
  while (!condition()) std::this_thread::sleep_for(1ms);
}

TEST(DnsEndpoints, are_all_addresses_of_a_name_and_follow_it) {
  std::atomic<int> asked{0};
  DnsEndpoints endpoints(
      {.name = {.host = "peer.example", .port = 80}, .refresh = 1ms, .retry = 1ms},
      [&](const std::string& host) -> Result<std::vector<std::string>> {
        EXPECT_EQ(host, "peer.example");
        if (++asked < 3) return std::vector<std::string>{"10.0.0.2", "10.0.0.1", "10.0.0.1"};
        return std::vector<std::string>{"fd00::7"};
      });
  wait_until([&] { return !endpoints.endpoints()->empty(); });
  wait_until([&] { return asked >= 4; });
  EXPECT_THAT(*endpoints.endpoints(), ElementsAre(Endpoint{"peer.example:80", "[fd00::7]:80"}));
}

TEST(DnsEndpoints, keep_the_last_list_while_the_name_cannot_be_looked_up) {
  std::atomic<int> asked{0};
  DnsEndpoints endpoints(
      {.name = {.host = "peer.example", .port = 80}, .refresh = 1ms, .retry = 1ms},
      [&](const std::string&) -> Result<std::vector<std::string>> {
        ++asked;
        if (asked == 1) return std::vector<std::string>{"10.0.0.2", "10.0.0.1"};
        if (asked % 2 == 0) return fail(ErrorCode::unavailable, "servfail");
        return std::vector<std::string>{};
      });
  wait_until([&] { return asked >= 6; });
  EXPECT_THAT(*endpoints.endpoints(), ElementsAre(Endpoint{"peer.example:80", "10.0.0.1:80"},
                                                  Endpoint{"peer.example:80", "10.0.0.2:80"}));
}

TEST(DnsEndpoints, do_not_wait_for_a_look_up_that_hangs) {
  auto hang = std::make_shared<std::atomic<bool>>(true);
  auto left = std::make_shared<std::atomic<bool>>(false);
  {
    const DnsEndpoints endpoints(
        {.name = {.host = "h", .port = 1}},
        [hang, left](const std::string&) -> Result<std::vector<std::string>> {
          wait_until([&] { return !*hang; });
          *left = true;
          return std::vector<std::string>{};
        });
    EXPECT_THAT(*endpoints.endpoints(), IsEmpty());
  }
  EXPECT_FALSE(*left) << "it still hangs, and its source is gone";
  *hang = false;
  wait_until([&] { return left->load(); });
}

TEST(DnsEndpoints, of_this_machine_are_found_by_the_system) {
  auto found = look_up("localhost");
  ASSERT_TRUE(found) << found.error().text;
  EXPECT_THAT(*found, ::testing::Contains(::testing::AnyOf("127.0.0.1", "::1")));
  EXPECT_FALSE(look_up("no-such-name.invalid"));
}

}  // namespace
}  // namespace trialwire::outbound
