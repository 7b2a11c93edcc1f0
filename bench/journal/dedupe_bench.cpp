// SPDX-License-Identifier: Apache-2.0
// The identity index alone: what a new record's look-up and joining cost, by how many identities
// it holds, and how long it takes to load them again.
//   dedupe_bench DIRECTORY [millions of identities]
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "base/check.hpp"
#include "journal/dedupe.hpp"
#include "telemetry/metrics.hpp"

namespace {

using namespace trialwire;
using namespace trialwire::journal;
using Clock = std::chrono::steady_clock;

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
}
double cpu(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

Hash128 identity_of(std::uint64_t n) {
  return siphash({1, 2}, std::as_bytes(std::span(&n, 1)));
}

}  // namespace

int main(int argc, char** argv) {
  TW_CHECK(argc > 1);
  const std::uint64_t total = (argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 32) * 1'000'000;
  constexpr std::size_t batch = 1024, ahead = 16;
  telemetry::Registry metrics;
  DedupeOptions options;
  options.directory = argv[1];
  TW_CHECK(posix_files().create_directory(options.directory).has_value());
  std::uint64_t next = 1;
  {
    auto index = DedupeIndex::open(options, posix_files(), metrics, {}, {});
    TW_CHECK(index.has_value());
    (*index)->start();
    fmt::print("capacity {}\n", (*index)->capacity());
    while (next <= total) {
      const double thread_before = cpu(RUSAGE_THREAD), all_before = cpu(RUSAGE_SELF);
      const std::uint64_t from = next, until = std::min(total, next + 2'000'000 - 1);
      while (next <= until) {
        TW_CHECK((*index)->begin_batch().has_value());
        std::array<Hash128, batch> ids;
        for (std::size_t i = 0; i < batch; ++i) ids[i] = identity_of(next + i);
        for (std::size_t i = 0; i < batch; ++i) {
          if (i + ahead < batch) (*index)->prefetch(ids[i + ahead]);
          auto answer =
              (*index)->admit({ids[i], 1, next, DedupeEntry::pack(1'700'000'000'000'000'000, 1)});
          TW_CHECK(answer && answer->verdict == DedupeIndex::Verdict::fresh);
          ++next;
        }
        (*index)->durable(next);
        // The pace of the whole product leaves the background time to keep up; so does this.
        if (next % (1 << 17) < batch) (*index)->wait_idle();
      }
      const auto n = static_cast<double>(next - from);
      const double thread = cpu(RUSAGE_THREAD) - thread_before;
      const double all = cpu(RUSAGE_SELF) - all_before;
      fmt::print("{:9} identities: {:5.1f} ns a record on the committer, {:5.1f} ns behind it\n",
                 next - 1, thread / n * 1e9, (all - thread) / n * 1e9);
    }
    (*index)->wait_idle();
    const double before = cpu(RUSAGE_THREAD);
    constexpr std::uint64_t retries = 100'000;
    for (std::uint64_t i = 0; i < retries; ++i) {
      const std::uint64_t n = next - 1 - i * 97 % std::min(total, (*index)->capacity());
      auto answer = (*index)->admit(
          {identity_of(n), 1, next, DedupeEntry::pack(1'700'000'000'000'000'000, 1)});
      TW_CHECK(answer && answer->verdict == DedupeIndex::Verdict::duplicate);
    }
    fmt::print("retry of an old record: {:.0f} ns\n",
               (cpu(RUSAGE_THREAD) - before) / retries * 1e9);
  }
  const auto loading = Clock::now();
  auto index =
      DedupeIndex::open(options, posix_files(), metrics, {1, next},
                        [](SequenceRange, const DedupeIndex::Take&) -> Result<void> { return {}; });
  TW_CHECK(index.has_value());
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("loaded again in {:.2f} s; {} MiB peak\n{}",
             std::chrono::duration<double>(Clock::now() - loading).count(), usage.ru_maxrss / 1024,
             metrics.text());
  return 0;
}
