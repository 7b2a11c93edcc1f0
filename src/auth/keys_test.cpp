// SPDX-License-Identifier: Apache-2.0
#include "auth/keys.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/param_build.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <utility>

#include "auth/jwks.hpp"
#include "auth/key_ring.hpp"
#include "auth/test_keys.hpp"

namespace trialwire::auth {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class KeysTest : public ::testing::Test {
 protected:
  KeysTest() { std::filesystem::create_directories(directory); }
  ~KeysTest() override { std::filesystem::remove_all(directory); }

  std::filesystem::path write(const std::string& name, std::string_view content,
                              mode_t mode = 0600) {
    auto path = directory / name;
    auto made = directory / "new";
    std::ofstream(made, std::ios::binary) << content;
    ::chmod(made.c_str(), mode);
    std::filesystem::rename(made, path);
    return path;
  }
  std::string problem(const KeyOptions& options) {
    auto keys = load_keys(options);
    return keys ? "none" : keys.error().text;
  }
  std::filesystem::path directory =
      std::filesystem::temp_directory_path() / ("trialwire-keys-" + std::to_string(::getpid()));
};

std::string problem_of(std::string_view text) {
  auto keys = parse_keys(text);
  return keys ? "none" : keys.error().text;
}

std::string jwks_of(std::string_view keys) {
  return R"({"keys":[)" + std::string(keys) + "]}";
}

TEST_F(KeysTest, a_secret_that_others_can_read_is_refused_and_never_shown) {
  for (mode_t mode : {0640, 0604, 0644, 0666, 0620, 0601}) {
    auto path = write("secret", testing::secret, mode);
    std::string text = problem({.secret_file = path});
    EXPECT_THAT(text, HasSubstr(path.native())) << mode;
    EXPECT_THAT(text, HasSubstr("chmod 600")) << mode;
    EXPECT_THAT(text, Not(HasSubstr(testing::secret)));
  }
  for (mode_t mode : {0600, 0400}) {
    EXPECT_EQ(problem({.secret_file = write("secret", testing::secret, mode)}), "none") << mode;
  }
}

TEST_F(KeysTest, a_secret_has_thirty_two_bytes_unless_a_weak_one_is_allowed) {
  auto path = write("secret", std::string(31, 's') + "\n");
  EXPECT_THAT(problem({.secret_file = path}), HasSubstr("fewer than 32 bytes"));
  EXPECT_EQ(problem({.secret_file = path, .allow_weak_secret = true}), "none");
  auto exact = write("secret", std::string(32, 's') + "\r\n");
  auto keys = load_keys({.secret_file = exact});
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->keys.front().secret.view(), std::string(32, 's'));
  EXPECT_THAT(problem({.secret_file = write("secret", "\n"), .allow_weak_secret = true}),
              HasSubstr("is empty"));
}

TEST_F(KeysTest, what_is_no_file_or_too_large_is_named) {
  EXPECT_THAT(problem({.secret_file = "/nowhere/secret"}), HasSubstr("/nowhere/secret"));
  EXPECT_THAT(problem({.secret_file = directory}), HasSubstr("not a regular file"));
  EXPECT_THAT(problem({.secret_file = write("secret", std::string(5000, 's'))}),
              HasSubstr("larger than"));
  auto pipe = directory / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(problem({.secret_file = pipe}), HasSubstr("not a regular file"));
}

TEST_F(KeysTest, a_file_of_public_keys_may_be_read_by_all_and_written_by_few) {
  std::string pem = testing::pem_of(testing::make_elliptic().get(), false);
  EXPECT_EQ(problem({.key_files = {write("key.pem", pem, 0644)}}), "none");
  EXPECT_THAT(problem({.key_files = {write("key.pem", pem, 0646)}}), HasSubstr("chmod o-w"));
}

TEST_F(KeysTest, several_pem_blocks_are_several_keys) {
  std::string both = testing::pem_of(testing::make_rsa().get(), false) + "# and\n" +
                     testing::pem_of(testing::make_elliptic().get(), false);
  auto keys = parse_keys(both);
  ASSERT_TRUE(keys) << keys.error().text;
  ASSERT_EQ(keys->keys.size(), 2U);
  EXPECT_EQ(keys->keys[0].algorithm, Algorithm::rs256);
  EXPECT_EQ(keys->keys[1].algorithm, Algorithm::es256);
}

TEST_F(KeysTest, a_private_key_is_not_taken) {
  auto key = testing::make_rsa();
  EXPECT_THAT(problem_of(testing::pem_of(key.get(), true)), HasSubstr("private"));
  EXPECT_THAT(problem_of(jwks_of(testing::rsa_jwk(key.get(), R"(,"d":"AQAB")"))),
              HasSubstr("private"));
}

TEST_F(KeysTest, weak_and_foreign_keys_are_refused) {
  EXPECT_THAT(problem_of(testing::pem_of(testing::make_rsa(1024).get(), false)),
              HasSubstr("1024 bits"));
  EXPECT_THAT(problem_of(jwks_of(testing::rsa_jwk(testing::make_rsa(1024).get(), ""))),
              HasSubstr("1024 bits"));
  EXPECT_THAT(problem_of(testing::pem_of(testing::make_elliptic("P-384").get(), false)),
              HasSubstr("not on P-256"));
  PublicKey edwards(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  EXPECT_THAT(problem_of(testing::pem_of(edwards.get(), false)), HasSubstr("neither"));
}

TEST_F(KeysTest, keys_of_a_set_that_are_for_something_else_are_left_out) {
  auto rsa = testing::make_rsa();
  auto keys =
      parse_keys(jwks_of(testing::rsa_jwk(rsa.get(), R"(,"use":"enc")") + "," +
                         testing::rsa_jwk(rsa.get(), R"(,"alg":"PS256")") +
                         R"(,{"kty":"oct","k":"c2VjcmV0"},{"kty":"OKP","crv":"Ed25519","x":"AA"},)"
                         R"({"kty":"EC","crv":"P-521","x":"AA","y":"AA"},{},)" +
                         testing::rsa_jwk(rsa.get(), R"(,"kid":"one")")));
  ASSERT_TRUE(keys) << keys.error().text;
  EXPECT_EQ(keys->keys.size(), 1U);
  EXPECT_EQ(keys->keys.front().id, "one");
  EXPECT_EQ(keys->skipped, 6U);
  EXPECT_THAT(problem_of(jwks_of(R"({"kty":"oct","k":"c2VjcmV0"})")), HasSubstr("no key for"));
}

TEST_F(KeysTest, malformed_keys_make_a_set_wrong) {
  auto elliptic = testing::make_elliptic();
  std::string x = testing::number_of(elliptic.get(), OSSL_PKEY_PARAM_EC_PUB_X, 32);
  auto with = [](std::string_view more) { return jwks_of("{" + std::string(more) + "}"); };
  std::string modulus = testing::number_of(testing::make_rsa().get(), OSSL_PKEY_PARAM_RSA_N);
  for (const std::string& set :
       {with(R"("kty":"RSA","n":"AQAB")"), with(R"("kty":"RSA","n":"====","e":"AQAB")"),
        with(R"("kty":"RSA","n":")" + modulus + R"(","e":"AQ")"),
        with(R"("kty":"RSA","n":")" + modulus + R"(","e":"AA")"),
        with(R"("kty":"RSA","n":")" + modulus + R"(","e":"Ag")"),
        with(R"("kty":"RSA","n":")" + modulus + R"(","e":"AQAAAAAAAAAB")"),
        with(R"("kty":"RSA","n":")" + std::string(1 << 14, 'A') + R"(","e":"AQAB")"),
        with(R"("kty":"EC","crv":"P-256","x":")" + x + R"(","y":")" + x + R"(")"),
        with(R"("kty":"EC","crv":"P-256","x":"AA","y":"AA")"), jwks_of("7"), jwks_of("null")}) {
    EXPECT_NE(problem_of(set), "none") << set;
  }
  for (const char* text : {"", "{", "{}", R"({"keys":{}})", R"({"keys":[]})", "[]", "key",
                           "-----BEGIN PUBLIC KEY-----", "-----BEGIN \n",
                           "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"}) {
    EXPECT_NE(problem_of(text), "none") << text;
  }
}

TEST_F(KeysTest, a_changed_file_is_read_again_and_a_broken_one_leaves_the_old_keys) {
  auto path = write("secret", testing::secret);
  telemetry::Registry metrics;
  auto ring = KeyRing::open({.secret_file = path}, metrics);
  ASSERT_TRUE(ring) << ring.error().text;
  std::uint64_t first = (*ring)->version();
  (*ring)->refresh();
  EXPECT_EQ((*ring)->version(), first);

  write("secret", "another secret that has bytes enough for all");
  (*ring)->refresh();
  EXPECT_GT((*ring)->version(), first);
  EXPECT_EQ((*ring)->keys()->keys.front().secret.view(),
            "another secret that has bytes enough for all");

  std::uint64_t second = (*ring)->version();
  write("secret", "short");
  (*ring)->refresh();
  (*ring)->refresh();
  EXPECT_EQ((*ring)->version(), second);
  std::filesystem::remove(path);
  (*ring)->refresh();
  EXPECT_EQ((*ring)->keys()->keys.front().secret.view(),
            "another secret that has bytes enough for all");
  EXPECT_THAT(metrics.text(), HasSubstr("trialwire_auth_key_reloads_total{result=\"failed\"} 2"));
}

TEST_F(KeysTest, what_could_not_be_read_is_read_as_soon_as_it_can) {
  write("secret", testing::secret);
  telemetry::Registry metrics;
  auto ring = KeyRing::open({.secret_file = directory / "secret"}, metrics);
  ASSERT_TRUE(ring) << ring.error().text;
  write("secret", "another secret that has bytes enough for all");
  const auto current = [&] { return (*ring)->keys()->keys.front().secret.view(); };
  rlimit files{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &files), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = files.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  (*ring)->refresh();
  (*ring)->refresh();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &files), 0);
  EXPECT_EQ(current(), testing::secret);
  EXPECT_THAT(metrics.text(), HasSubstr("trialwire_auth_keys_current 0\n"));
  EXPECT_THAT(metrics.text(), HasSubstr("trialwire_auth_key_reloads_total{result=\"failed\"} 1\n"))
      << "said once";
  (*ring)->refresh();
  EXPECT_EQ(current(), "another secret that has bytes enough for all") << "nothing has changed";
  EXPECT_THAT(metrics.text(), HasSubstr("trialwire_auth_keys_current 1\n"));
}

TEST_F(KeysTest, a_mode_that_is_changed_is_noticed) {
  const auto path = write("secret", testing::secret);
  telemetry::Registry metrics;
  auto ring = KeyRing::open({.secret_file = path}, metrics);
  ASSERT_TRUE(ring) << ring.error().text;
  const FileStamp before = stamp_of(path);
  ::chmod(path.c_str(), 0644);
  while (stamp_of(path) == before) ::chmod(path.c_str(), 0644);  // the clock of a file is coarse
  (*ring)->refresh();
  EXPECT_THAT(metrics.text(), HasSubstr("trialwire_auth_keys_current 0\n"));
  ::chmod(path.c_str(), 0600);
  (*ring)->refresh();
  EXPECT_THAT(metrics.text(), HasSubstr("trialwire_auth_keys_current 1\n"));
}

TEST_F(KeysTest, that_are_fetched_are_beside_those_of_files_until_others_are) {
  auto first = testing::make_rsa(), second = testing::make_elliptic();
  const std::string one = jwks_of(testing::rsa_jwk(first.get(), R"(,"kid":"one")"));
  const std::string two = jwks_of(testing::elliptic_jwk(second.get(), R"(,"kid":"two")"));
  auto path = write("secret", testing::secret);
  telemetry::Registry metrics;
  auto ring = KeyRing::open({.secret_file = path}, metrics);
  ASSERT_TRUE(ring) << ring.error().text;
  auto names = [&] {
    std::string all;
    for (const Key& key : (*ring)->keys()->keys) {
      all += key.algorithm == Algorithm::hs256 ? "secret " : key.id + " ";
    }
    return all;
  };
  EXPECT_EQ(names(), "secret ");
  EXPECT_TRUE((*ring)->take_set(one).value());
  EXPECT_EQ(names(), "secret one ");
  const std::uint64_t version = (*ring)->version();
  EXPECT_FALSE((*ring)->take_set(one).value());
  EXPECT_EQ((*ring)->version(), version) << "the same again: tokens that are known stay so";
  write("secret", "another secret that has bytes enough for all");
  (*ring)->refresh();
  EXPECT_EQ(names(), "secret one ") << "a file that changes takes nothing away";
  EXPECT_TRUE((*ring)->take_set(two).value());
  EXPECT_EQ(names(), "secret two ");
}

TEST_F(KeysTest, that_are_fetched_and_cannot_be_used_leave_those_of_before) {
  auto key = testing::make_rsa();
  telemetry::Registry metrics;
  auto ring = KeyRing::open({}, metrics);
  ASSERT_TRUE(ring) << ring.error().text;
  EXPECT_TRUE((*ring)->keys()->keys.empty()) << "none are there yet";
  ASSERT_TRUE((*ring)->take_set(jwks_of(testing::rsa_jwk(key.get(), R"(,"kid":"one")"))));
  const std::uint64_t version = (*ring)->version();
  std::string many;
  for (std::size_t i = 0; i <= keys_max; ++i) {
    many += (i == 0 ? "" : ",") + testing::rsa_jwk(key.get(), fmt::format(R"(,"kid":"{}")", i));
  }
  for (const std::string& set :
       {std::string(), std::string("<html>"), std::string(R"({"keys":[]})"), jwks_of(many),
        testing::pem_of(key.get(), false),
        jwks_of(testing::rsa_jwk(key.get(), R"(,"d":"AQAB")"))}) {
    auto taken = (*ring)->take_set(set);
    ASSERT_FALSE(taken) << set;
    EXPECT_THAT(taken.error().text, HasSubstr("what was fetched"));
    EXPECT_EQ((*ring)->version(), version);
  }
  EXPECT_EQ((*ring)->keys()->keys.front().id, "one");
}

TEST_F(KeysTest, of_pem_are_checked_as_those_of_a_set_are) {
  // An exponent of one makes every text its own signature.
  auto modulus = testing::make_rsa();
  BIGNUM* n = nullptr;
  ASSERT_EQ(EVP_PKEY_get_bn_param(modulus.get(), OSSL_PKEY_PARAM_RSA_N, &n), 1);
  OSSL_PARAM_BLD* builder = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n);
  OSSL_PARAM_BLD_push_uint(builder, OSSL_PKEY_PARAM_RSA_E, 1);
  OSSL_PARAM* params = OSSL_PARAM_BLD_to_param(builder);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY* made = nullptr;
  ASSERT_EQ(EVP_PKEY_fromdata_init(context), 1);
  ASSERT_EQ(EVP_PKEY_fromdata(context, &made, EVP_PKEY_PUBLIC_KEY, params), 1);
  const PublicKey weak(made);
  EXPECT_THAT(problem_of(testing::pem_of(weak.get(), false)), HasSubstr("malformed"));
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(builder);
  BN_free(n);
}

TEST_F(KeysTest, without_names_are_few_for_each_would_be_tried) {
  std::string pem;
  for (std::size_t i = 0; i < tried_keys_max; ++i) {
    pem += testing::pem_of(testing::make_elliptic().get(), false);
  }
  EXPECT_EQ(problem({.key_files = {write("keys.pem", pem)}}), "none");
  pem += testing::pem_of(testing::make_elliptic().get(), false);
  EXPECT_THAT(problem({.key_files = {write("keys.pem", pem)}}), HasSubstr("ES256 without a name"));
}

TEST(Secrets, leave_nothing_behind_where_they_were) {
  constexpr std::string_view text = "0123456789";  // as short as to be within the object
  alignas(Secret) std::array<char, sizeof(Secret)> memory{};
  auto* secret = new (memory.data()) Secret(text);
  const auto left = [&] {
    return std::string_view(memory.data(), memory.size()).find("1234") != std::string_view::npos;
  };
  ASSERT_TRUE(left());
  const Secret moved(std::move(*secret));
  EXPECT_EQ(moved.view(), text);
  EXPECT_FALSE(left()) << "where it was moved from";
  *secret = Secret(text);
  ASSERT_TRUE(left());
  secret->~Secret();
  EXPECT_FALSE(left());
  std::string taken(text);
  const Secret of_text(std::move(taken));
  EXPECT_EQ(of_text.view(), text);
}

}  // namespace
}  // namespace trialwire::auth
