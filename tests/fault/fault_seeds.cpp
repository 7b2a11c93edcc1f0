// SPDX-License-Identifier: Apache-2.0
// Runs seeds and the directed scenarios in child processes, adds up what they met, and says how to
// run a failed one again. See README.md.
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/check.hpp"
#include "fault/scenarios.hpp"
#include "fault/seed_run.hpp"
#include "journal/recovery_table.hpp"
#include "telemetry/log.hpp"

namespace trialwire::fault {
namespace {

constexpr unsigned seed_seconds_max = 60;  // then it hangs
constexpr std::size_t jobs_max = 64;
constexpr std::size_t rows = static_cast<std::size_t>(journal::RecoveryCase::count_);

struct Arguments {
  std::string seeds = "1..300";
  std::string kept;  // file of seeds that always run
  unsigned jobs = 2;
  bool directed = true;
  bool every_row = false;
  bool stop_at_first = false;
  bool quiet = false;
};

/// In memory that the children share with their parent; each child writes its own only.
struct ChildTotals {
  std::uint64_t position = 0;  // of the work list: next one
  std::uint64_t failed = 0;
  SeedCounts sums;
  std::uint64_t hits[rows] = {};
};

/// One thing to run: a scenario by its number, or a seed.
struct Item {
  bool scenario = false;
  std::uint64_t number = 0;
};

std::vector<Item> work_list(const Arguments& arguments) {
  std::vector<Item> items;
  if (arguments.directed) {
    for (std::uint64_t n = 0; n < scenarios().size(); ++n) items.push_back({true, n});
  }
  std::set<std::uint64_t> kept;
  std::ifstream file(arguments.kept);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line[0] != '#') kept.insert(std::stoull(line));
  }
  for (const std::uint64_t seed : kept) items.push_back({false, seed});
  const auto dots = arguments.seeds.find("..");
  const std::uint64_t first = std::stoull(arguments.seeds);
  const std::uint64_t last =
      dots == std::string::npos ? first : std::stoull(arguments.seeds.substr(dots + 2));
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    if (!kept.contains(seed)) items.push_back({false, seed});
  }
  return items;
}

std::string name_of(const Item& item) {
  if (item.scenario) return fmt::format("scenario {}", scenarios()[item.number].name);
  return fmt::format("seed {}", item.number);
}

void report_failure(const Arguments& arguments, const Item& item, const std::string& why) {
  fmt::print("FAILED {}: {}\n", name_of(item), why);
  if (!item.scenario) {
    fmt::print("  again: fault_seeds --no-directed --seeds {}..{}\n", item.number, item.number);
    if (!arguments.kept.empty()) {
      std::ofstream(arguments.kept, std::ios::app) << item.number << '\n';
      fmt::print("  kept in {}\n", arguments.kept);
    }
  }
  std::fflush(stdout);
}

void add(SeedCounts& sums, const SeedCounts& one) {
  sums.starts += one.starts;
  sums.power_cuts += one.power_cuts;
  sums.kills += one.kills;
  sums.clean_stops += one.clean_stops;
  sums.fatal += one.fatal;
  sums.damage_refused += one.damage_refused;
  sums.batches += one.batches;
  sums.segments += one.segments;
  sums.deleted += one.deleted;
  sums.records += one.records;
  sums.acknowledged += one.acknowledged;
  sums.duplicates += one.duplicates;
  sums.conflicts += one.conflicts;
  sums.refused += one.refused;
}

/// Runs every `jobs`-th item from `totals.position` on.
void run_child(const Arguments& arguments, const std::vector<Item>& items, ChildTotals& totals) {
  const auto hits_before = std::to_array(totals.hits);
  while (totals.position < items.size()) {
    const Item& item = items[totals.position];
    ::alarm(seed_seconds_max);
    std::string failure;
    if (item.scenario) {
      failure = scenarios()[item.number].run();
    } else {
      const SeedResult result = run_seed(item.number);
      failure = result.failure;
      add(totals.sums, result.counts);
    }
    ::alarm(0);
    const auto hits = journal::recovery_hits();
    for (std::size_t i = 0; i < rows; ++i) totals.hits[i] = hits_before[i] + hits[i];
    totals.position += arguments.jobs;
    if (failure.empty()) continue;
    ++totals.failed;
    report_failure(arguments, item, failure);
    if (arguments.stop_at_first) return;
  }
}

std::string why_ended(int status) {
  if (WIFEXITED(status)) return fmt::format("ended the process with {}", WEXITSTATUS(status));
  if (WTERMSIG(status) == SIGALRM) return "hangs";
  return fmt::format("died of signal {}", WTERMSIG(status));
}

pid_t start_child(const Arguments& arguments, const std::vector<Item>& items, ChildTotals& totals) {
  std::fflush(stdout);
  const pid_t child = ::fork();
  TW_CHECK(child >= 0);
  if (child > 0) return child;
  run_child(arguments, items, totals);
  std::fflush(stdout);
  ::_exit(0);
}

bool print_totals(const Arguments& arguments, const ChildTotals& all, std::size_t items) {
  const SeedCounts& sums = all.sums;
  if (!arguments.quiet) {
    fmt::print("{} items: {} failed\n", items, all.failed);
    fmt::print("starts {}, power cuts {}, kills {}, clean stops {}, failed disks {}\n", sums.starts,
               sums.power_cuts, sums.kills, sums.clean_stops, sums.fatal);
    fmt::print("flipped bits refused {}\n", sums.damage_refused);
    fmt::print("batches {}, segments {} ({} deleted), records {}\n", sums.batches, sums.segments,
               sums.deleted, sums.records);
    fmt::print("acknowledged {}, known {}, in conflict {}, refused groups {}\n", sums.acknowledged,
               sums.duplicates, sums.conflicts, sums.refused);
    fmt::print("{:<22} {:>10}\n", "recovery table row", "hits");
  }
  bool every_row = true;
  for (std::size_t i = 0; i < rows; ++i) {
    const auto& row = journal::recovery_table()[i];
    if (!arguments.quiet) fmt::print("{:<22} {:>10}\n", row.label, all.hits[i]);
    if (all.hits[i] == 0) every_row = false;
  }
  if (arguments.every_row && !every_row)
    fmt::print("FAILED: a row of the recovery table has no hits\n");
  return all.failed == 0 && (every_row || !arguments.every_row);
}

int run(const Arguments& arguments) {
  const auto items = work_list(arguments);
  void* shared = ::mmap(nullptr, sizeof(ChildTotals) * jobs_max, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  TW_CHECK(shared != MAP_FAILED);
  auto* totals = static_cast<ChildTotals*>(shared);
  std::map<pid_t, unsigned> running;  // child → job
  for (unsigned job = 0; job < arguments.jobs; ++job) {
    new (totals + job) ChildTotals{.position = job};
    running.emplace(start_child(arguments, items, totals[job]), job);
  }
  while (!running.empty()) {
    int status = 0;
    const auto found = running.find(::waitpid(-1, &status, 0));
    TW_CHECK(found != running.end());
    const unsigned job = found->second;
    running.erase(found);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    // What ended the child fails its item; another child goes on behind it. A sanitizer may speak
    // up only when all is done.
    ChildTotals& share = totals[job];
    ++share.failed;
    if (share.position >= items.size()) {
      fmt::print("FAILED: a process ended with status {} after its last item\n", status);
      continue;
    }
    report_failure(arguments, items[share.position], why_ended(status));
    share.position += arguments.jobs;
    if (!arguments.stop_at_first) running.emplace(start_child(arguments, items, share), job);
  }
  ChildTotals all;
  for (unsigned job = 0; job < arguments.jobs; ++job) {
    all.failed += totals[job].failed;
    add(all.sums, totals[job].sums);
    for (std::size_t i = 0; i < rows; ++i) all.hits[i] += totals[job].hits[i];
  }
  return print_totals(arguments, all, items.size()) ? 0 : 1;
}

}  // namespace
}  // namespace trialwire::fault

int main(int argc, char** argv) {
  trialwire::fault::Arguments arguments;
  CLI::App app("Property tests of the journal on a faulty disk, by seed.");
  app.add_option("--seeds", arguments.seeds, "first..last");
  app.add_option("--jobs", arguments.jobs, "processes")->check(CLI::Range(1, 64));
  app.add_option("--kept", arguments.kept, "file of seeds that always run; failed ones are added");
  app.add_flag("--directed,!--no-directed", arguments.directed, "the directed scenarios first");
  app.add_flag("--every-row", arguments.every_row,
               "fail when a row of the recovery table has no hit");
  app.add_flag("--stop-at-first", arguments.stop_at_first, "end at the first failure");
  app.add_flag("--quiet", arguments.quiet, "print failures only");
  bool log = false;
  app.add_flag("--log", log, "the journal's log to stderr");
  CLI11_PARSE(app, argc, argv);
  if (!log) trialwire::telemetry::set_log_level("", trialwire::telemetry::LogLevel::off);
  return trialwire::fault::run(arguments);
}
