// SPDX-License-Identifier: Apache-2.0
// What a token costs: known from before, and verified with each algorithm. Every round checks that
// the token was taken, and for whom.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include "auth/authenticator.hpp"
#include "auth/test_keys.hpp"
#include "base/check.hpp"

namespace {

using namespace trialwire;
using namespace trialwire::auth;

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t now_s = 1'772'352'930;

const std::string claims =
    R"({"sub":"service-epro-gateway","iss":"https://login.example/realms/trials",)"
    R"("aud":"trialwire","iat":1772352900,"nbf":1772352900,"exp":1772356500,)"
    R"("jti":"5f0c2a0e-7b0e-4f0c-9a39-0c2d0a6a2f11","roles":["site"],)"
    R"("studies":["T-1","T-2"],"sites":["S-1"],"scope":"reports:write records:read"})";

TokenOptions options() {
  TokenOptions made;
  made.issuer = "https://login.example/realms/trials";
  made.audience = "trialwire";
  return made;
}

void verify(benchmark::State& state, KeySet keys, const Signer& signer) {
  Verifier verifier(options(), std::make_shared<KeySet>(std::move(keys)));
  std::string token = *signer.sign(claims, "key-1");
  for (auto _ : state) {
    auto verified = verifier.verify(token, now_s);
    TW_CHECK(verified && verified->principal.name == "service-epro-gateway");
  }
  state.counters["token_bytes"] = static_cast<double>(token.size());
}

void verify_hs256(benchmark::State& state) {
  KeySet keys;
  keys.keys.push_back({Algorithm::hs256, {}, auth::Secret(auth::testing::secret), nullptr});
  verify(state, std::move(keys), Signer::of_secret(auth::testing::secret));
}

void verify_rs256(benchmark::State& state) {
  auto key = auth::testing::make_rsa();
  auto signer = auth::testing::signer_of(key.get());
  verify(state, *parse_keys(auth::testing::pem_of(key.get(), false)), signer);
}

void verify_es256(benchmark::State& state) {
  auto key = auth::testing::make_elliptic();
  auto signer = auth::testing::signer_of(key.get());
  verify(state, *parse_keys(auth::testing::pem_of(key.get(), false)), signer);
}

/// `state.range(0)` tokens in turn, all of them known.
void cached(benchmark::State& state) {
  auto path = std::filesystem::temp_directory_path() / ("auth-bench-" + std::to_string(::getpid()));
  std::ofstream(path) << auth::testing::secret;
  ::chmod(path.c_str(), 0600);
  telemetry::Registry metrics;
  auto ring = KeyRing::open({.secret_file = path}, metrics);
  std::filesystem::remove(path);
  TW_CHECK(ring.has_value());
  Authenticator authenticator({.tokens = options()}, **ring, metrics);
  std::vector<std::string> headers;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    std::string own = claims;
    own.replace(own.find("5f0c"), 4, fmt::format("{:04}", i));
    headers.push_back("Bearer " + *Signer::of_secret(auth::testing::secret).sign(own));
  }
  std::size_t next = 0;
  for (auto _ : state) {
    auto who = authenticator.authenticate(headers[next], now_s * second_ns);
    TW_CHECK(who && (*who)->name == "service-epro-gateway");
    next = next + 1 == headers.size() ? 0 : next + 1;
  }
}

void refused_stranger(benchmark::State& state) {
  KeySet keys;
  keys.keys.push_back({Algorithm::hs256, {}, auth::Secret(auth::testing::secret), nullptr});
  Verifier verifier(options(), std::make_shared<KeySet>(std::move(keys)));
  std::string token = *Signer::of_secret("a secret that is not known to them").sign(claims);
  for (auto _ : state) TW_CHECK(!verifier.verify(token, now_s));
}

BENCHMARK(cached)->Arg(1)->Arg(1000);
BENCHMARK(verify_hs256);
BENCHMARK(verify_rs256);
BENCHMARK(verify_es256);
BENCHMARK(refused_stranger);

}  // namespace

BENCHMARK_MAIN();
