// SPDX-License-Identifier: Apache-2.0
// What a scrape costs by itself, with so many series. Every round checks that they are all there.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/check.hpp"
#include "telemetry/metrics.hpp"

namespace {

using namespace trialwire;

/// Nine in ten are counters; a tenth are the buckets, sums and counts of histograms.
void scrape(benchmark::State& state) {
  const auto series = static_cast<std::size_t>(state.range(0));
  const std::size_t of_histogram = telemetry::latency_seconds_buckets().size() + 3;
  telemetry::Registry registry;
  std::size_t made = 0;
  for (std::size_t i = 0; made < series / 10; ++i, made += of_histogram) {
    registry
        .histogram("trialwire_bench_seconds", "Times.", telemetry::latency_seconds_buckets(),
                   {{"route", fmt::format("/v1/route/{}", i)}})
        .observe(0.001);
  }
  for (std::size_t i = 0; made < series; ++i, ++made) {
    registry
        .counter(fmt::format("trialwire_bench_{}_total", i % 50), "Counts.",
                 {{"route", fmt::format("/v1/route/{}", i)}, {"status", "200"}})
        .add(i);
  }
  std::size_t lines = 0;
  for (auto _ : state) {
    const std::string text = registry.text();
    lines = 0;
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      lines += static_cast<std::size_t>(text[at] != '#');
    }
    TW_CHECK(lines >= series);
  }
  state.counters["series"] = static_cast<double>(lines);
}
BENCHMARK(scrape)->Arg(1'000)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
