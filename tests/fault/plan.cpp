// SPDX-License-Identifier: Apache-2.0
#include "fault/plan.hpp"

#include <array>

namespace trialwire::fault {

using support::Random;

namespace {

template <typename T, std::size_t n>
T pick(Random& random, const T (&choices)[n]) {
  return choices[random.below(n)];
}

}  // namespace

Plan plan_for(std::uint64_t seed) {
  using namespace std::chrono_literals;
  using Names = support::FaultyOptions::Names;
  Random random(seed * 0x9e3779b97f4a7c15ULL + 1);
  Plan plan{.seed = seed};
  plan.disk.seed = random.next();
  plan.disk.direct = random.one_in(2);
  plan.disk.unsynced_names = pick(random, {Names::lost, Names::kept, Names::prefix});
  plan.disk.yields_max = pick(random, {0U, 0U, 3U});
  plan.disk.errors_only_in = "/journal";

  journal::Options& options = plan.journal;
  options.directory = "/journal";
  options.segment_bytes = pick(random, {64U << 10U, 64U << 10U, 96U << 10U, 128U << 10U});
  options.bytes_max = random.one_in(4) ? options.segment_bytes * 8 : budget_unbounded;
  if (options.bytes_max < budget_unbounded) {
    options.undelivered = {.high = options.bytes_max / 10 * 7, .low = options.bytes_max / 2};
  }
  options.retention = random.one_in(2) ? 0ns : std::chrono::nanoseconds(24h);
  options.recent_bytes =
      pick(random, {std::size_t{0}, std::size_t{16} << 10U, std::size_t{1} << 20U});
  options.batch_bytes_max =
      pick(random, {std::size_t{4} << 10U, std::size_t{32} << 10U, std::size_t{4} << 20U});
  options.commit_bytes =
      pick(random, {std::size_t{1} << 10U, std::size_t{8} << 10U, std::size_t{64} << 10U});
  options.commit_interval = pick(random, {0us, 20us, 100us});
  options.silence = pick(random, {1ms, 1ms, 50ms});
  options.dedupe_bytes = pick(random, {std::size_t{64} << 10U, std::size_t{1} << 20U});
  options.scrub_bytes_per_second = pick(random, {std::size_t{0}, std::size_t{64} << 20U});
  plan.dedupe = !random.one_in(16);
  if (!plan.dedupe) options.dedupe_window = 0ns;

  plan.shards = static_cast<std::uint32_t>(random.between(2, 3));
  plan.crashes = static_cast<std::uint32_t>(random.between(2, 4));
  plan.batches = static_cast<std::uint32_t>(random.between(50, 70));
  plan.record_bytes = pick(random, {std::size_t{100}, std::size_t{400}, std::size_t{1500}});
  plan.groups_a_turn = static_cast<unsigned>(random.between(1, 4));
  plan.sink_pause_percent = pick(random, {0U, 10U, 60U});
  plan.threads = random.one_in(8);
  plan.disk_fills = random.one_in(24);
  return plan;
}

}  // namespace trialwire::fault
