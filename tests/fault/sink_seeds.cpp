// SPDX-License-Identifier: Apache-2.0
// Runs the sinks' seeds and says how to run a failed one again. See README.md.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <string>

#include "fault/sink_run.hpp"
#include "telemetry/log.hpp"

namespace trialwire::fault {
namespace {

constexpr unsigned seed_seconds_max = 60;  // then it hangs
std::uint64_t running_seed = 0;

void hangs(int) {
  // Nothing but async-signal-safe calls here.
  constexpr std::string_view text = "FAILED a seed hangs\n";
  static_cast<void>(::write(STDOUT_FILENO, text.data(), text.size()));
  ::_exit(1);
}

int run(const std::string& seeds, bool stop_at_first, bool quiet) {
  const auto dots = seeds.find("..");
  const std::uint64_t first = std::stoull(seeds);
  const std::uint64_t last =
      dots == std::string::npos ? first : std::stoull(seeds.substr(dots + 2));
  SinkCounts sums;
  std::uint64_t failed = 0;
  for (running_seed = first; running_seed <= last; ++running_seed) {
    ::alarm(seed_seconds_max);
    const SinkResult result = run_sink_seed(running_seed);
    ::alarm(0);
    sums.starts += result.counts.starts;
    sums.crashes += result.counts.crashes;
    sums.failures += result.counts.failures;
    sums.records += result.counts.records;
    sums.rows += result.counts.rows;
    sums.letters += result.counts.letters;
    sums.transactions += result.counts.transactions;
    sums.lane_changes += result.counts.lane_changes;
    if (result.failure.empty()) continue;
    ++failed;
    fmt::print("FAILED seed {}: {}\n  again: sink_seeds --seeds {}\n", running_seed, result.failure,
               running_seed);
    if (stop_at_first) break;
  }
  if (!quiet) {
    fmt::print("{} seeds: {} failed\n", last - first + 1, failed);
    fmt::print("starts {} ({} with another number of lanes), crashes {}, cut connections {}\n",
               sums.starts, sums.lane_changes, sums.crashes, sums.failures);
    fmt::print("records {}, rows {} in {} transactions, dead letters {}\n", sums.records, sums.rows,
               sums.transactions, sums.letters);
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace trialwire::fault

int main(int argc, char** argv) {
  std::string seeds = "1..300";
  bool stop_at_first = false, quiet = false, log = false;
  CLI::App app("Property tests of the pipeline's lanes before a destination that fails, by seed.");
  app.add_option("--seeds", seeds, "first..last");
  app.add_flag("--stop-at-first", stop_at_first, "end at the first failure");
  app.add_flag("--quiet", quiet, "print failures only");
  app.add_flag("--log", log, "the pipeline's log to stderr");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGALRM, trialwire::fault::hangs);
  if (!log) trialwire::telemetry::set_log_level("", trialwire::telemetry::LogLevel::off);
  return trialwire::fault::run(seeds, stop_at_first, quiet);
}
