// SPDX-License-Identifier: Apache-2.0
// What the filters before a handler cost a request: as the server ships them, and with a rate set.
// Each iteration is a request; a turn of 16 pipelined ones reads the clock, and the age, once.
#include <benchmark/benchmark.h>

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "net/admission.hpp"

namespace {

using namespace trialwire;
using namespace std::chrono_literals;

constexpr std::int64_t turn_ns = 20'000;
constexpr int pipelined = 16;

net::AdmissionOptions shipped() {
  net::AdmissionOptions options;
  options.concurrent_max = 10'000;
  options.queued_max = 5'000;
  options.cpu_threshold = 900;
  options.loop_lag_max = 500ms;
  options.commit_age_max = 1s;
  options.cpu = [] { return 1'000.0; };
  options.queued = [] { return std::size_t{0}; };
  options.commit_age_ns = [](unsigned, std::int64_t) { return std::int64_t{1'000}; };
  options.commit_room = [](unsigned, std::int64_t) { return std::uint64_t{1'000'000}; };
  return options;
}

struct Setup {
  explicit Setup(net::AdmissionOptions options)
      : common(std::make_shared<net::AdmissionCommon>(std::move(options), "http", metrics)),
        admission(common, 0, metrics) {}
  telemetry::Registry metrics;
  std::shared_ptr<net::AdmissionCommon> common;
  net::Admission admission;
};

std::vector<Hash128> addresses(const net::AdmissionCommon& common, int count) {
  std::vector<Hash128> keys;
  for (int i = 0; i < count; ++i) {
    sockaddr_storage peer{};
    sockaddr_in v4{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(0x0a000000U + i)}};
    std::memcpy(&peer, &v4, sizeof v4);
    keys.push_back(common.key_of(peer));
  }
  return keys;
}

void run(benchmark::State& state, Setup& setup, net::RouteKind kind, int clients) {
  auto keys = addresses(*setup.common, clients);
  std::int64_t now = 1'000'000'000;
  std::size_t at = 0;
  std::size_t n = 0;
  for (auto _ : state) {
    if (++n % pipelined == 0) {
      now += turn_ns;
      at = (at + 1) % keys.size();
    }
    auto admitted = setup.admission.admit({.kind = kind, .address = keys[at], .rate = {}}, now, 0);
    if (admitted.refused != net::Refused::no) state.SkipWithError("refused");
    if (admitted.flying) setup.admission.landed(now, 1'000);
    benchmark::DoNotOptimize(admitted);
  }
}

void intake_as_shipped(benchmark::State& state) {
  Setup setup(shipped());
  run(state, setup, net::RouteKind::intake, 64);
}
BENCHMARK(intake_as_shipped);

void other_routes_as_shipped(benchmark::State& state) {
  Setup setup(shipped());
  run(state, setup, net::RouteKind::waiting, 64);
}
BENCHMARK(other_routes_as_shipped);

void intake_with_rates(benchmark::State& state) {
  auto options = shipped();
  options.address = {.per_second = 1'000'000, .burst = 1'000'000};
  options.all = {.per_second = 1'000'000'000, .burst = 1'000'000'000};
  Setup setup(std::move(options));
  run(state, setup, net::RouteKind::intake, static_cast<int>(state.range(0)));
}
BENCHMARK(intake_with_rates)->Arg(64)->Arg(10'000);

void rate_lines(benchmark::State& state) {
  std::array<char, net::rate_lines_max> room{};
  net::RateNote note{true, 119, 2};
  const net::RateLines policy("\"address\";q=120;w=2");
  for (auto _ : state) {
    auto lines = policy.write(note, room);
    benchmark::DoNotOptimize(lines);
  }
}
BENCHMARK(rate_lines);

}  // namespace

BENCHMARK_MAIN();
