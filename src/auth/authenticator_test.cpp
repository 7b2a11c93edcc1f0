// SPDX-License-Identifier: Apache-2.0
#include "auth/authenticator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <fmt/format.h>

#include "auth/test_keys.hpp"

namespace trialwire::auth {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t now_s = 1'772'352'930;

class AuthenticatorTest : public ::testing::Test {
 protected:
  AuthenticatorTest() {
    std::filesystem::create_directories(directory);
    write_secret(testing::secret);
    ring = std::move(*KeyRing::open({.secret_file = directory / "secret"}, metrics));
  }
  ~AuthenticatorTest() override { std::filesystem::remove_all(directory); }

  void write_secret(const std::string& secret) {
    auto made = directory / "new";
    std::ofstream(made) << secret;
    ::chmod(made.c_str(), 0600);
    std::filesystem::rename(made, directory / "secret");
  }
  static std::string token(std::string_view name, std::int64_t expires_s = now_s + 600) {
    return *Signer::of_secret(testing::secret)
                .sign(fmt::format(R"({{"sub":"{}","exp":{}}})", name, expires_s));
  }
  std::string who(Authenticator& authenticator, std::string_view header,
                  std::int64_t at_s = now_s) {
    auto principal = authenticator.authenticate(header, at_s * second_ns);
    return principal ? (*principal)->name : "!" + std::string(label_of(principal.error()));
  }
  double metric(const std::string& series) {
    std::string page = metrics.text();
    std::size_t at = page.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(page.substr(at + series.size() + 2));
  }

  std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("trialwire-auth-" + std::to_string(::getpid()));
  telemetry::Registry metrics;
  std::unique_ptr<KeyRing> ring;
};

TEST_F(AuthenticatorTest, takes_a_bearer_token_and_nothing_else) {
  Authenticator authenticator({}, *ring, metrics);
  std::string good = token("alice");
  EXPECT_EQ(who(authenticator, "Bearer " + good), "alice");
  EXPECT_EQ(who(authenticator, "bEARER   " + good), "alice");
  for (const std::string& header : {std::string(), std::string("Bearer"), good, "Basic " + good,
                                    "Bearer:" + good, "Token " + good, "Bearer\t" + good}) {
    EXPECT_EQ(who(authenticator, header), "!missing") << header;
  }
  EXPECT_EQ(who(authenticator, "Bearer "), "!malformed");
  EXPECT_EQ(who(authenticator, "Bearer " + good + " " + good), "!malformed");
  EXPECT_EQ(who(authenticator, "Bearer " + good + ","), "!malformed");
}

TEST_F(AuthenticatorTest, an_expiry_is_looked_at_with_every_request) {
  Authenticator authenticator({}, *ring, metrics);
  std::string header = "Bearer " + token("alice", now_s + 10);
  EXPECT_EQ(who(authenticator, header), "alice");
  EXPECT_EQ(who(authenticator, header, now_s + 39), "alice");
  EXPECT_EQ(metric("trialwire_auth_accepted_total{how=\"cached\"}"), 1);
  EXPECT_EQ(who(authenticator, header, now_s + 40), "!expired");
  EXPECT_EQ(who(authenticator, header, now_s + 40), "!expired");
  EXPECT_EQ(metric("trialwire_auth_cache_tokens"), 0);
  EXPECT_EQ(metric("trialwire_auth_refused_total{reason=\"expired\"}"), 2);
}

TEST_F(AuthenticatorTest, a_clock_that_is_set_back_does_not_open_a_token_early) {
  Authenticator authenticator({}, *ring, metrics);
  std::string header = "Bearer " + *Signer::of_secret(testing::secret)
                                        .sign(fmt::format(R"({{"sub":"alice","exp":{},"nbf":{}}})",
                                                          now_s + 600, now_s));
  EXPECT_EQ(who(authenticator, header), "alice");
  EXPECT_EQ(who(authenticator, header, now_s - 31), "!not_yet_valid");
  EXPECT_EQ(who(authenticator, header, now_s - 30), "alice");
}

TEST_F(AuthenticatorTest, tokens_of_a_key_that_is_gone_are_refused_though_they_were_known) {
  Authenticator authenticator({}, *ring, metrics);
  std::string header = "Bearer " + token("alice");
  EXPECT_EQ(who(authenticator, header), "alice");
  write_secret("the next secret, which is long enough, too");
  ring->refresh();
  EXPECT_EQ(who(authenticator, header), "!signature");
}

TEST_F(AuthenticatorTest, a_key_that_is_not_known_is_missed_and_a_bad_signature_is_not) {
  auto known = testing::make_rsa(), next = testing::make_rsa();
  ASSERT_TRUE(
      ring->take_set(R"({"keys":[)" + testing::rsa_jwk(known.get(), R"(,"kid":"one")") + "]}"));
  Authenticator authenticator({}, *ring, metrics);
  auto signed_by = [](EVP_PKEY* key, const std::string& id) {
    return "Bearer " +
           *testing::signer_of(key).sign(fmt::format(R"({{"sub":"a","exp":{}}})", now_s + 600), id);
  };
  EXPECT_EQ(who(authenticator, signed_by(known.get(), "one")), "a");
  EXPECT_EQ(who(authenticator, signed_by(next.get(), "one")), "!signature");
  EXPECT_EQ(who(authenticator, "Bearer x.y.z"), "!malformed");
  EXPECT_EQ(who(authenticator,
                "Bearer " + *Signer::of_secret("another secret, which is long "
                                               "enough for this")
                                 .sign(fmt::format(R"({{"sub":"a","exp":{}}})", now_s + 600))),
            "!signature");
  EXPECT_FALSE(ring->missed()) << "no other set would change that";
  for (const char* id : {"two", "../../etc/passwd", "one/../two", "http://idp.example/key"}) {
    EXPECT_EQ(who(authenticator, signed_by(next.get(), id)), "!unknown_key") << id;
    EXPECT_TRUE(ring->missed());
    ring->look_for_missed();
  }
  ASSERT_TRUE(
      ring->take_set(R"({"keys":[)" + testing::rsa_jwk(next.get(), R"(,"kid":"two")") + "]}"));
  EXPECT_EQ(who(authenticator, signed_by(next.get(), "two")), "a");
  EXPECT_EQ(who(authenticator, signed_by(known.get(), "one")), "!unknown_key")
      << "a key that is gone is gone, though its token was known";
}

TEST_F(AuthenticatorTest, the_cache_is_bounded_and_forgets_nobodys_rights) {
  Authenticator authenticator({.cache_bytes_max = 20'000}, *ring, metrics);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 500; ++i) {
      std::string name = fmt::format("user-{}", i);
      ASSERT_EQ(who(authenticator, "Bearer " + token(name)), name);
      ASSERT_LE(metric("trialwire_auth_cache_bytes"), 20'000);
    }
  }
  EXPECT_GT(metric("trialwire_auth_cache_tokens"), 8);
}

TEST_F(AuthenticatorTest, without_a_cache_every_token_is_verified) {
  Authenticator authenticator({.cache_bytes_max = 0}, *ring, metrics);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(who(authenticator, "Bearer " + token("alice")), "alice");
  EXPECT_EQ(metric("trialwire_auth_accepted_total{how=\"verified\"}"), 3);
  EXPECT_EQ(metric("trialwire_auth_accepted_total{how=\"cached\"}"), 0);
}

TEST_F(AuthenticatorTest, a_token_that_is_not_one_byte_for_byte_is_not_known) {
  Authenticator authenticator({}, *ring, metrics);
  std::string good = token("alice");
  EXPECT_EQ(who(authenticator, "Bearer " + good), "alice");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_TRUE(who(authenticator, "Bearer " + changed).starts_with("!")) << i;
  }
}

TEST(Refusals, have_labels_of_their_own_and_texts_that_a_header_may_quote) {
  std::set<std::string_view> labels;
  for (std::size_t i = 0; i < static_cast<std::size_t>(Refusal::count_); ++i) {
    auto refusal = static_cast<Refusal>(i);
    labels.insert(label_of(refusal));
    EXPECT_EQ(text_of(refusal).find_first_of("\"\\\r\n"), std::string_view::npos);
    EXPECT_FALSE(text_of(refusal).empty());
  }
  EXPECT_EQ(labels.size(), static_cast<std::size_t>(Refusal::count_));
}

TEST(Scopes, are_those_of_the_contract_and_none_holds_another) {
  for (const char* name : {"reports:write", "vitals:write", "metrics:write", "projects:write",
                           "imaging:write", "records:read", "alerts:ack", "admin"}) {
    auto scope = scope_of(name);
    ASSERT_TRUE(scope) << name;
    EXPECT_EQ(name_of(*scope), name);
    Scopes one;
    one.add(*scope);
    for (std::size_t i = 0; i < static_cast<std::size_t>(Scope::count_); ++i) {
      EXPECT_EQ(one.has(static_cast<Scope>(i)), static_cast<Scope>(i) == *scope);
    }
  }
  for (const char* name : {"", "reports", "reports:*", "*", "Admin", "reports:write "}) {
    EXPECT_FALSE(scope_of(name)) << name;
  }
}

TEST(Principals, write_for_whom_they_are) {
  Principal who{.name = "p", .studies = {Named::Kind::listed, {"T-1"}}, .subject = "P-1"};
  EXPECT_EQ(foreign(who, {"P-1", "T-1", ""}), Foreign::none);
  EXPECT_EQ(foreign(who, {"P-1", "", ""}), Foreign::study) << "it may be of any study";
  EXPECT_EQ(foreign(who, {"P-2", "T-1", ""}), Foreign::subject);
  EXPECT_EQ(foreign(who, {"", "T-1", ""}), Foreign::subject);
  EXPECT_EQ(foreign(who, {"P-1", "T-2", ""}), Foreign::study);
  Principal site{.sites = {Named::Kind::listed, {"S-1"}}};
  EXPECT_EQ(foreign(site, {"P-1", "T-1", "S-2"}), Foreign::site);
  EXPECT_EQ(foreign(site, {"P-1", "T-1", "S-1"}), Foreign::none);
  EXPECT_EQ(foreign(site, {"P-1", "T-1", ""}), Foreign::site) << "it may be of any site";
  EXPECT_EQ(foreign(Principal{}, {"", "", ""}), Foreign::none);
  EXPECT_EQ(foreign(Principal{}, {"P-1", "T-1", "S-1"}), Foreign::none);
  EXPECT_TRUE(anonymous().writes_anything());
  EXPECT_FALSE(who.writes_anything());
}

}  // namespace
}  // namespace trialwire::auth
