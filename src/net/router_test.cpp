// SPDX-License-Identifier: Apache-2.0
#include "net/router.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace trialwire::net {
namespace {

void nothing(Exchange&) {}

struct Found {
  std::string pattern;  // empty: no route
  std::string allow;
  std::string params;  // "name=value;"
};

Found find(const Router& router, Method method, std::string_view path) {
  std::array<PathParam, path_params_max> params;
  std::string scratch;
  auto match = router.match(method, path, params, scratch);
  Found found;
  if (match.route != nullptr) found.pattern = match.route->pattern;
  found.allow = match.allow;
  for (std::size_t i = 0; i < match.params; ++i)
    found.params += std::string(params[i].name) + "=" + std::string(params[i].value) + ";";
  return found;
}

Router router_of(std::initializer_list<std::pair<Method, std::string_view>> routes) {
  Router router;
  for (auto [method, pattern] : routes) {
    auto added = router.add(method, pattern, nothing);
    EXPECT_TRUE(added) << added.error().text;
  }
  return router;
}

TEST(Router, finds_static_paths_that_share_prefixes) {
  Router router = router_of({{Method::get, "/"},
                             {Method::get, "/v1/epro/reports"},
                             {Method::post, "/v1/epro/reports"},
                             {Method::post, "/v1/epro/qol"},
                             {Method::post, "/v1/vitals"},
                             {Method::post, "/submit"},
                             {Method::post, "/submit_qol"}});
  EXPECT_EQ(find(router, Method::get, "/").pattern, "/");
  for (std::string path :
       {"/v1/epro/reports", "/v1/epro/qol", "/v1/vitals", "/submit", "/submit_qol"})
    EXPECT_EQ(find(router, Method::post, path).pattern, path);
  for (std::string path :
       {"/v1", "/v1/epro/report", "/v1/epro/reports/", "/v1/epro/reportsx", "/sub", "", "//"}) {
    Found none = find(router, Method::post, path);
    EXPECT_EQ(none.pattern, "") << path;
    EXPECT_EQ(none.allow, "") << path;
  }
}

TEST(Router, static_text_goes_before_a_parameter_and_a_parameter_before_a_rest) {
  Router router = router_of({{Method::get, "/a/*rest"},
                             {Method::get, "/a/:id"},
                             {Method::get, "/a/new"},
                             {Method::get, "/a/:id/b"}});
  EXPECT_EQ(find(router, Method::get, "/a/new").pattern, "/a/new");
  EXPECT_EQ(find(router, Method::get, "/a/newer").params, "id=newer;");
  EXPECT_EQ(find(router, Method::get, "/a/7/b").pattern, "/a/:id/b");
  Found rest = find(router, Method::get, "/a/7/c/d");
  EXPECT_EQ(rest.pattern, "/a/*rest");
  EXPECT_EQ(rest.params, "rest=7/c/d;");
  EXPECT_EQ(find(router, Method::get, "/a/").pattern, "/a/*rest");
}

TEST(Router, leaves_a_branch_again_that_has_no_handler) {
  Router router = router_of({{Method::get, "/a/b/d"},
                             {Method::get, "/a/:x/c"},
                             {Method::post, "/a/b"},
                             {Method::get, "/a/:x"}});
  Found found = find(router, Method::get, "/a/b/c");
  EXPECT_EQ(found.pattern, "/a/:x/c");
  EXPECT_EQ(found.params, "x=b;");
  EXPECT_EQ(find(router, Method::get, "/a/b").pattern, "/a/:x");
}

TEST(Router, names_the_methods_of_a_path_that_has_others) {
  Router router =
      router_of({{Method::get, "/a/:id"}, {Method::post, "/a/:id"}, {Method::put, "/b"}});
  Found wrong = find(router, Method::delete_, "/a/1");
  EXPECT_EQ(wrong.pattern, "");
  EXPECT_EQ(wrong.allow, "GET, HEAD, POST");
  EXPECT_EQ(find(router, Method::get, "/b").allow, "PUT");
  EXPECT_EQ(find(router, Method::other, "/b").allow, "PUT");
  EXPECT_EQ(find(router, Method::head, "/a/1").pattern, "/a/:id");
}

TEST(Router, decodes_parameters_and_keeps_an_escaped_slash_inside_one) {
  Router router = router_of({{Method::get, "/p/:a/:b"}, {Method::get, "/f/*rest"}});
  EXPECT_EQ(find(router, Method::get, "/p/x%2Fy/%C3%A4%20+").params, "a=x/y;b=\xC3\xA4 +;");
  EXPECT_EQ(find(router, Method::get, "/f/a%20b/c").params, "rest=a b/c;");
  EXPECT_EQ(find(router, Method::get, "/p//b").pattern, "");
}

TEST(Router, an_escape_of_an_unreserved_character_is_that_character) {
  Router router = router_of({{Method::post, "/v1/epro/reports"},
                             {Method::get, "/p/:a"},
                             {Method::get, "/p/new-one_~.x"},
                             {Method::get, "/a/b"}});
  EXPECT_EQ(find(router, Method::post, "/v1/%65pro/r%65port%73").pattern, "/v1/epro/reports");
  EXPECT_EQ(find(router, Method::post, "/%76%31/epro/reports").pattern, "/v1/epro/reports");
  EXPECT_EQ(find(router, Method::get, "/p/new%2Done%5f%7E%2ex").pattern, "/p/new-one_~.x");
  EXPECT_EQ(find(router, Method::get, "/a%2Fb").pattern, "") << "a slash that is data";
  EXPECT_EQ(find(router, Method::get, "/a/%62").pattern, "/a/b");
  EXPECT_EQ(find(router, Method::get, "/%41/b").pattern, "") << "capitals make another path";
  EXPECT_EQ(find(router, Method::get, "/p/%2565").params, "a=%65;") << "decoded once";
  EXPECT_EQ(find(router, Method::get, "/p/%61%2F%2e").params, "a=a/.;");
  EXPECT_EQ(find(router, Method::get, "/v1/%65pro/reports").allow, "POST");
}

TEST(Router, numbers_its_routes_from_zero) {
  Router router = router_of({{Method::get, "/a"}, {Method::post, "/a"}, {Method::get, "/b"}});
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(router.routes()[i]->index, i);
}

TEST(Router, refuses_conflicts) {
  Router router = router_of({{Method::get, "/a/:id"}, {Method::get, "/b/*rest"}});
  for (std::string_view pattern : {"/a/:id", "/a/:other", "/a/:other/c", "/b/*more"}) {
    auto added = router.add(Method::get, pattern, nothing);
    ASSERT_FALSE(added) << pattern;
    EXPECT_EQ(added.error().code, ErrorCode::conflict) << pattern;
  }
  EXPECT_TRUE(router.add(Method::post, "/a/:id", nothing));
}

TEST(Router, refuses_malformed_patterns) {
  Router router;
  for (std::string_view pattern : {"", "a", "/a/:", "/a/*", "/a/x:id", "/a/*rest/b", "/a/:i-d",
                                   "/a/:a:b", "/:a/:b/:c/:d/:e/:f/:g/:h/:i"}) {
    auto added = router.add(Method::get, pattern, nothing);
    ASSERT_FALSE(added) << pattern;
    EXPECT_EQ(added.error().code, ErrorCode::invalid_argument) << pattern;
  }
  EXPECT_FALSE(router.add(Method::get, "/a", nullptr));
  EXPECT_FALSE(router.add(Method::other, "/a", nothing));
}

}  // namespace
}  // namespace trialwire::net
