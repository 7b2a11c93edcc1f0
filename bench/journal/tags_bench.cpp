// SPDX-License-Identifier: Apache-2.0
// The tag table alone at the size that 64 MiB give it: a look-up and an insertion of something new,
// its line prefetched, by how much of the capacity has been inserted. The fastest of many turns.
//   tags_bench [turns]
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>

#include "base/check.hpp"
#include "journal/dedupe_tags.hpp"

namespace {

using namespace trialwire;
using namespace trialwire::journal;
using Clock = std::chrono::steady_clock;

constexpr std::size_t table_bytes = 52'138'432;
constexpr std::size_t records = 1 << 15, ahead = 32;

std::uint64_t mix(std::uint64_t x) {  // SplitMix64's finaliser
  x = (x ^ x >> 30) * 0xbf58'476d'1ce4'e5b9;
  x = (x ^ x >> 27) * 0x94d0'49bb'1331'11eb;
  return x ^ x >> 31;
}
Hash128 identity_of(std::uint64_t n) {
  return {mix(2 * n + 1), mix(2 * n + 0x9e37'79b9'7f4a'7c15)};
}

}  // namespace

int main(int argc, char** argv) {
  const int turns = argc > 1 ? std::atoi(argv[1]) : 20;
  TagTable tags(table_bytes);
  const std::uint64_t within_reach = (1ULL << TagTable::eras) - 1;
  auto era_of = [&](std::uint64_t n) { return n / tags.era_entries(); };
  std::uint64_t next = 0;
  for (const std::uint64_t percent : {10, 60, 100, 200}) {
    for (; next < tags.capacity() * percent / 100; ++next) {
      tags.insert(identity_of(next), era_of(next));
    }
    const std::uint64_t old = next - std::min(next, tags.capacity());
    TW_CHECK((tags.find(identity_of(old), era_of(next)) >> (era_of(next) - era_of(old)) & 1) != 0);
    double fastest_ns = 1e9;
    std::uint64_t perhaps = 0;
    for (int turn = 0; turn < turns; ++turn) {
      std::array<Hash128, records + ahead> ids;
      for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = identity_of(next + i);
      const std::uint64_t era = era_of(next);
      const auto start = Clock::now();
      for (std::size_t i = 0; i < records; ++i) {
        tags.prefetch(ids[i + ahead]);
        perhaps += (tags.find(ids[i], era) & within_reach) != 0;
        tags.insert(ids[i], era);
      }
      const std::chrono::duration<double, std::nano> took = Clock::now() - start;
      fastest_ns = std::min(fastest_ns, took.count() / records);
      next += records;
    }
    fmt::print("{:3} % of {}: {:5.2f} ns, {:.2f} % are to be looked for in files\n", percent,
               tags.capacity(), fastest_ns,
               100.0 * static_cast<double>(perhaps) / (turns * static_cast<double>(records)));
  }
  return 0;
}
