// SPDX-License-Identifier: Apache-2.0
#include "auth/verifier.hpp"

#include <gtest/gtest.h>

#include <string>

#include <fmt/format.h>

#include "auth/jwks.hpp"
#include "auth/test_keys.hpp"

namespace trialwire::auth {
namespace {

using testing::encoded;

constexpr std::int64_t now_s = 1'772'352'930;
const std::string hs256_header = R"({"alg":"HS256","typ":"JWT"})";

std::string expiring(std::string_view more = "") {
  return fmt::format(R"({{"sub":"alice","exp":{}{}}})", now_s + 600, more);
}

/// The keys of a server: two secrets, an RSA key "rsa-1" and one on P-256 "ec-1".
struct Keys {
  PublicKey rsa = testing::make_rsa();
  PublicKey elliptic = testing::make_elliptic();
  std::shared_ptr<const KeySet> known;

  Keys() {
    std::string jwks =
        R"({"keys":[)" + testing::rsa_jwk(rsa.get(), R"(,"kid":"rsa-1","use":"sig")") + "," +
        testing::elliptic_jwk(elliptic.get(), R"(,"kid":"ec-1","alg":"ES256")") + "]}";
    auto set = std::make_shared<KeySet>(std::move(*parse_keys(jwks)));
    set->keys.push_back({Algorithm::hs256, {}, Secret(testing::secret), nullptr});
    set->keys.push_back({Algorithm::hs256,
                         {},
                         Secret(std::string("the secret of before, also long enough")),
                         nullptr});
    known = set;
  }
};

class VerifierTest : public ::testing::Test {
 protected:
  static const Keys& keys() {
    static const Keys made;
    return made;
  }
  static std::string signed_with_secret(std::string_view claims,
                                        const std::string& secret = testing::secret) {
    return *Signer::of_secret(secret).sign(claims);
  }
  static std::string under_header(std::string_view header, std::string_view claims = expiring()) {
    return *Signer::of_secret(testing::secret).sign_with_header(header, claims);
  }
  std::string refusal(std::string_view token, std::int64_t at = now_s) {
    Verifier verifier(options, keys().known);
    auto verified = verifier.verify(token, at);
    return verified ? "taken" : std::string(label_of(verified.error()));
  }
  std::string refusal_of_claims(std::string_view claims) {
    return refusal(signed_with_secret(claims));
  }
  Principal principal(std::string_view claims) {
    Verifier verifier(options, keys().known);
    auto verified = verifier.verify(signed_with_secret(claims), now_s);
    EXPECT_TRUE(verified) << label_of(verified.error());
    return verified ? verified->principal : Principal{};
  }
  TokenOptions options;
};

TEST_F(VerifierTest, takes_each_algorithm_with_its_key) {
  EXPECT_EQ(refusal_of_claims(expiring()), "taken");
  EXPECT_EQ(refusal(*testing::signer_of(keys().rsa.get()).sign(expiring(), "rsa-1")), "taken");
  EXPECT_EQ(refusal(*testing::signer_of(keys().elliptic.get()).sign(expiring(), "ec-1")), "taken");
}

TEST_F(VerifierTest, takes_the_secret_of_before_as_well_and_no_other) {
  EXPECT_EQ(refusal(signed_with_secret(expiring(), "the secret of before, also long enough")),
            "taken");
  EXPECT_EQ(refusal(signed_with_secret(expiring(), "a secret that nobody has ever agreed upon")),
            "signature");
}

TEST_F(VerifierTest, reads_who_it_is) {
  Principal who = principal(
      expiring(R"(,"roles":["monitor","unblinded"],"studies":["T-1","T-2"],"sites":["S-1"],)"
               R"("subject":"P-1","scope":"reports:write records:read of:another:service")"));
  EXPECT_EQ(who.name, "alice");
  EXPECT_TRUE(who.has_role("unblinded"));
  EXPECT_FALSE(who.has_role("auditor"));
  EXPECT_EQ(who.studies.names, (std::vector<std::string>{"T-1", "T-2"}));
  EXPECT_TRUE(who.sites.lists("S-1"));
  EXPECT_EQ(who.subject, "P-1");
  EXPECT_TRUE(who.scopes.has(Scope::reports_write));
  EXPECT_TRUE(who.scopes.has(Scope::records_read));
  EXPECT_FALSE(who.scopes.has(Scope::admin));
}

TEST_F(VerifierTest, a_claim_may_be_elsewhere_and_of_the_other_form) {
  options.claims.name = "https://idp.example/user";
  options.claims.roles = "/realm_access/roles";
  options.claims.scope = "scp";
  Principal who = principal(
      expiring(R"(,"https://idp.example/user":"bob","realm_access":{"roles":["monitor"]},)"
               R"("roles":["unblinded"],"scp":["vitals:write"],"studies":"*","sites":"S-1")"));
  EXPECT_EQ(who.name, "bob");
  EXPECT_EQ(who.roles, std::vector<std::string>{"monitor"});
  EXPECT_TRUE(who.scopes.has(Scope::vitals_write));
  EXPECT_EQ(who.studies.kind, Named::Kind::all);
  EXPECT_EQ(who.sites.names, std::vector<std::string>{"S-1"});
}

TEST_F(VerifierTest, a_token_that_names_nobody_is_refused) {
  EXPECT_EQ(refusal_of_claims(fmt::format(R"({{"exp":{}}})", now_s + 60)), "claims");
  EXPECT_EQ(refusal_of_claims(fmt::format(R"({{"exp":{},"studies":"*"}})", now_s + 60)), "claims");
  const std::string claims = fmt::format(R"({{"exp":{},"subject":"P-7"}})", now_s + 60);
  EXPECT_EQ(principal(claims).name, "P-7");
}

TEST_F(VerifierTest, alg_none_is_refused_however_it_is_spelled) {
  for (const char* none : {"none", "None", "NONE", "nOnE", ""}) {
    std::string header = fmt::format(R"({{"alg":"{}","typ":"JWT"}})", none);
    std::string token = encoded(header) + "." + encoded(expiring()) + ".";
    EXPECT_EQ(refusal(token), "algorithm") << none;
    EXPECT_EQ(refusal(under_header(header)), "algorithm") << none;
  }
  for (const char* header : {R"({"typ":"JWT"})", R"({"alg":null})", R"({"alg":["HS256"]})",
                             R"({"alg":1})", R"({"alg":"HS384"})", R"({"alg":"PS256"})"}) {
    EXPECT_EQ(refusal(under_header(header)), "algorithm") << header;
  }
}

TEST_F(VerifierTest, a_public_key_is_never_a_secret) {
  std::string pem = testing::pem_of(keys().rsa.get(), false);
  for (const std::string& confused : {pem, pem.substr(0, pem.size() - 1)}) {
    auto forged = *Signer::of_secret(confused).sign(expiring(), "rsa-1");
    EXPECT_EQ(refusal(forged), "signature");
  }
  auto only_rsa = std::make_shared<KeySet>(std::move(*parse_keys(pem)));
  Verifier verifier(options, only_rsa);
  auto verified = verifier.verify(*Signer::of_secret(pem).sign(expiring()), now_s);
  ASSERT_FALSE(verified);
  EXPECT_EQ(verified.error(), Refusal::unknown_key);
}

TEST_F(VerifierTest, an_algorithm_that_is_not_allowed_is_refused_though_its_key_is_there) {
  options.algorithms = {Algorithm::rs256};
  EXPECT_EQ(refusal_of_claims(expiring()), "algorithm");
  EXPECT_EQ(refusal(*testing::signer_of(keys().rsa.get()).sign(expiring(), "rsa-1")), "taken");
}

TEST_F(VerifierTest, a_kid_is_only_ever_compared) {
  auto rsa = testing::signer_of(keys().rsa.get());
  for (const char* id : {"../../../../dev/null", "/etc/passwd", "rsa-1\0", "' OR 1=1 --", "RSA-1",
                         "http://attacker.example/key", "rsa-1 ", "|/usr/bin/id"}) {
    EXPECT_EQ(refusal(*rsa.sign(expiring(), id)),
              id == std::string("rsa-1") ? "taken" : "unknown_key")
        << id;
  }
  EXPECT_EQ(refusal(*rsa.sign(expiring(), std::string_view("rsa-1\0x", 7))), "unknown_key");
  EXPECT_EQ(refusal(*rsa.sign(expiring())), "taken") << "the only key of its algorithm";
  EXPECT_EQ(refusal(*rsa.sign_with_header(R"({"alg":"RS256","kid":5})", expiring())), "malformed");
  EXPECT_EQ(refusal(*rsa.sign_with_header(R"({"alg":"RS256","kid":["rsa-1"]})", expiring())),
            "malformed");
}

TEST_F(VerifierTest, a_key_within_the_token_is_no_key) {
  auto stranger = testing::make_rsa();
  std::string header = R"({"alg":"RS256","jwk":)" + testing::rsa_jwk(stranger.get(), "") +
                       R"(,"jku":"http://127.0.0.1:1/jwks","x5u":"file:///etc/passwd"})";
  EXPECT_EQ(refusal(*testing::signer_of(stranger.get()).sign_with_header(header, expiring())),
            "signature");
}

TEST_F(VerifierTest, an_extension_that_must_be_understood_is_not) {
  EXPECT_EQ(refusal(under_header(R"({"alg":"HS256","crit":["b64"],"b64":false})")), "critical");
  EXPECT_EQ(refusal(under_header(R"({"alg":"HS256","crit":[]})")), "critical");
}

TEST_F(VerifierTest, times_have_thirty_seconds_of_skew) {
  auto at = [](std::string_view name, std::int64_t time) {
    return fmt::format(R"({{"sub":"a","exp":{},"{}":{}}})", now_s + 600, name, time);
  };
  auto expiring_at = [](std::int64_t time) {
    return fmt::format(R"({{"sub":"a","exp":{}}})", time);
  };
  EXPECT_EQ(refusal_of_claims(expiring_at(now_s - 29)), "taken");
  EXPECT_EQ(refusal_of_claims(expiring_at(now_s - 30)), "expired");
  EXPECT_EQ(refusal_of_claims(at("nbf", now_s + 30)), "taken");
  EXPECT_EQ(refusal_of_claims(at("nbf", now_s + 31)), "not_yet_valid");
  EXPECT_EQ(refusal_of_claims(at("iat", now_s + 30)), "taken");
  EXPECT_EQ(refusal_of_claims(at("iat", now_s + 31)), "issued_in_future");
  options.skew = std::chrono::seconds(0);
  EXPECT_EQ(refusal_of_claims(expiring_at(now_s)), "expired");
  EXPECT_EQ(refusal_of_claims(expiring_at(now_s + 1)), "taken");
}

TEST_F(VerifierTest, an_expiry_is_required_and_is_a_number) {
  EXPECT_EQ(refusal_of_claims(R"({"sub":"alice"})"), "no_expiry");
  EXPECT_EQ(refusal_of_claims(R"({"sub":"a","exp":null})"), "no_expiry");
  EXPECT_EQ(refusal_of_claims(R"({"sub":"a","exp":"never"})"), "claims");
  EXPECT_EQ(refusal_of_claims(R"({"sub":"a","exp":true})"), "claims");
  EXPECT_EQ(refusal_of_claims(R"({"sub":"a","exp":{}})"), "claims");
  EXPECT_EQ(refusal_of_claims(R"({"sub":"a","exp":-1})"), "expired");
  EXPECT_EQ(refusal_of_claims(R"({"sub":"a","exp":1e300})"), "taken");
  EXPECT_EQ(refusal_of_claims(R"({"sub":"a","exp":18446744073709551615})"), "taken");
  EXPECT_EQ(refusal_of_claims(fmt::format(R"({{"sub":"a","exp":{}.5}})", now_s + 1)), "taken");
  EXPECT_EQ(refusal_of_claims(fmt::format(R"({{"sub":"a","exp":{},"nbf":1e300}})", now_s + 1)),
            "not_yet_valid");
  EXPECT_EQ(refusal_of_claims(fmt::format(R"({{"sub":"a","exp":{},"nbf":"x"}})", now_s + 1)),
            "claims");
}

TEST_F(VerifierTest, issuer_and_audience_are_looked_at_when_they_are_configured) {
  std::string both = expiring(R"(,"iss":"https://idp","aud":["other","trialwire"])");
  EXPECT_EQ(refusal_of_claims(both), "taken");
  options.issuer = "https://idp";
  options.audience = "trialwire";
  EXPECT_EQ(refusal_of_claims(both), "taken");
  EXPECT_EQ(refusal_of_claims(expiring(R"(,"iss":"https://idp","aud":"trialwire")")), "taken");
  for (const char* more :
       {R"(,"aud":"trialwire")", R"(,"iss":"https://idp/","aud":"trialwire")",
        R"(,"iss":["https://idp"],"aud":"trialwire")", R"(,"iss":null,"aud":"trialwire")"}) {
    EXPECT_EQ(refusal_of_claims(expiring(more)), "issuer") << more;
  }
  for (const char* more :
       {R"(,"iss":"https://idp")", R"(,"iss":"https://idp","aud":"trial")",
        R"(,"iss":"https://idp","aud":[])", R"(,"iss":"https://idp","aud":["trialwire",1])",
        R"(,"iss":"https://idp","aud":{"trialwire":1})"}) {
    EXPECT_EQ(refusal_of_claims(expiring(more)), "audience") << more;
  }
}

TEST_F(VerifierTest, a_claim_of_another_type_is_no_leave_to_see_more) {
  for (const char* more : {R"(,"studies":null)",
                           R"(,"sites":null)",
                           R"(,"subject":null)",
                           R"(,"scope":null)",
                           R"(,"studies":5)",
                           R"(,"studies":[1])",
                           R"(,"studies":["T-1",null])",
                           R"(,"studies":{})",
                           R"(,"studies":[["T-1"]])",
                           R"(,"studies":"")",
                           R"(,"studies":[""])",
                           R"(,"sites":true)",
                           R"(,"sites":[{}])",
                           R"(,"subject":"")",
                           R"(,"subject":["P-1"])",
                           R"(,"subject":7)",
                           R"(,"subject":"P-1\u0000")",
                           R"(,"subject":"P-1\n")",
                           R"(,"roles":{"a":1})",
                           R"(,"scope":7)",
                           R"(,"scope":["reports:write",7])"}) {
    EXPECT_EQ(refusal_of_claims(expiring(more)), "claims") << more;
  }
  for (const std::string& sub : {std::string("7"), std::string("\"\""), std::string("{}"),
                                 "\"" + std::string(256, 'x') + "\""}) {
    EXPECT_EQ(refusal_of_claims(fmt::format(R"({{"exp":{},"sub":{}}})", now_s + 60, sub)), "claims")
        << sub;
  }
}

TEST_F(VerifierTest, a_claim_whose_way_is_blocked_is_not_absent) {
  options.claims.sites = "/app/limits/sites";
  options.claims.roles = "/groups/0/roles";
  for (const char* blocked :
       {R"(,"app":null)", R"(,"app":"T-1")", R"(,"app":7)", R"(,"app":true)", R"(,"app":[])",
        R"(,"app":{"limits":null})", R"(,"app":{"limits":["S-1"]})", R"(,"groups":[])",
        R"(,"groups":["auditor"])", R"(,"groups":null)"}) {
    EXPECT_EQ(refusal_of_claims(expiring(blocked)), "claims") << blocked;
  }
  for (const char* absent :
       {"", R"(,"app":{})", R"(,"app":{"limits":{}})", R"(,"app":{"limits":{"sites ":1}})",
        R"(,"apps":null)", R"(,"ap":"T-1")", R"(,"other":{"app":null})"}) {
    EXPECT_EQ(refusal_of_claims(expiring(absent)), "taken") << absent;
  }
  Principal who = principal(
      expiring(R"(,"app":{"limits":{"sites":["S-1"]}},"groups":[{"roles":["auditor"]}])"));
  EXPECT_EQ(who.sites.names, std::vector<std::string>{"S-1"});
  EXPECT_TRUE(who.has_role("auditor"));
}

TEST_F(VerifierTest, a_name_twice_makes_a_token_malformed) {
  EXPECT_EQ(refusal_of_claims(expiring(R"(,"exp":99999999999)")), "malformed");
  EXPECT_EQ(refusal_of_claims(expiring(R"(,"subject":"P-1","subject":"P-2")")), "malformed");
  EXPECT_EQ(refusal_of_claims(expiring(R"(,"subject":"P-1","\u0073ubject":"P-2")")), "malformed");
  EXPECT_EQ(refusal_of_claims(expiring(R"(,"x":{"a":1,"a":2})")), "malformed");
  EXPECT_EQ(refusal_of_claims(expiring(R"(,"x":[{"a":1},{"a":2}])")), "taken");
  EXPECT_EQ(refusal_of_claims(expiring(R"(,"x":[{"a":1,"b":3,"a":2}])")), "malformed");
  EXPECT_EQ(refusal(under_header(R"({"alg":"HS256","alg":"HS256"})")), "malformed");
  EXPECT_EQ(refusal(under_header(R"({"alg":"none","\u0061lg":"HS256"})")), "malformed");
}

TEST_F(VerifierTest, deep_wide_and_broken_json_is_malformed) {
  std::string deep = expiring(",\"x\":" + std::string(2000, '[') + std::string(2000, ']'));
  EXPECT_EQ(refusal_of_claims(deep), "malformed");
  EXPECT_EQ(refusal_of_claims(expiring(",\"x\":" + std::string(2000, '['))), "malformed");
  std::string objects;
  for (int i = 0; i < 500; ++i) objects += R"({"a":)";
  EXPECT_EQ(refusal_of_claims(expiring(",\"x\":" + objects)), "malformed");
  std::string wide;
  for (int i = 0; i < 200; ++i) wide += fmt::format(R"(,"m{}":1)", i);
  EXPECT_EQ(refusal_of_claims(expiring(wide)), "malformed");
  for (const char* claims :
       {"", "{}x", "[]", "null", "\"text\"", "7", "{", "{\"exp\":}", "{\"exp\":1}{\"exp\":2}",
        "{'exp':1}", "{\"exp\":1,}", "{\"\xff\":1}", "\xef\xbb\xbf{}", "/**/{}"}) {
    EXPECT_EQ(refusal_of_claims(claims), "malformed") << claims;
    EXPECT_EQ(refusal(under_header(claims)), "malformed") << claims;
  }
  EXPECT_EQ(refusal_of_claims(" {\"sub\":\"a\",\"exp\":99999999999} \n"), "taken");
}

TEST_F(VerifierTest, what_is_no_compact_jws_is_malformed) {
  std::string good = signed_with_secret(expiring());
  for (const std::string& token :
       {std::string(), std::string("."), std::string(".."), std::string("..."),
        std::string("eyJhbGciOiJIUzI1NiJ9"), good + ".", "." + good, good + ".x.y", " " + good,
        good + "=", good + "\n", good.substr(0, good.rfind('.')),
        std::string(R"({"payload":"","protected":"","signature":""})")}) {
    EXPECT_EQ(refusal(token), "malformed") << token;
  }
}

TEST_F(VerifierTest, no_other_spelling_of_a_token_is_taken) {
  std::string good = signed_with_secret(expiring());
  // 32 bytes are 43 characters, whose last has two bits without use.
  std::string other = good;
  other.back() = other.back() == 'A' ? 'B' : static_cast<char>(other.back() + 1);
  EXPECT_NE(refusal(other), "taken");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string changed = good;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_NE(refusal(changed), "taken") << i;
  }
  for (std::size_t length = 0; length < good.size(); ++length) {
    EXPECT_NE(refusal(good.substr(0, length)), "taken") << length;
  }
}

TEST_F(VerifierTest, a_signature_of_another_size_is_none) {
  for (const auto& signer : {testing::signer_of(keys().rsa.get()).sign(expiring(), "rsa-1"),
                             testing::signer_of(keys().elliptic.get()).sign(expiring(), "ec-1")}) {
    std::string front = signer->substr(0, signer->rfind('.') + 1);
    for (std::size_t size : {0, 1, 31, 32, 63, 64, 65, 72, 255, 256, 257, 512}) {
      EXPECT_EQ(refusal(front + encoded(std::string(size, '\0'))), "signature") << size;
      EXPECT_EQ(refusal(front + encoded(std::string(size, '\xff'))), "signature") << size;
    }
  }
}

TEST_F(VerifierTest, a_huge_token_is_not_looked_at) {
  std::string large = signed_with_secret(expiring(",\"x\":\"" + std::string(8 << 10, 'x') + '"'));
  EXPECT_EQ(refusal(large), "too_large");
  EXPECT_EQ(refusal(std::string(8 << 20, '.')), "too_large");
  options.token_bytes_max = 16 << 10;
  EXPECT_EQ(refusal(large), "taken");
}

}  // namespace
}  // namespace trialwire::auth
