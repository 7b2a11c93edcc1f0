// SPDX-License-Identifier: Apache-2.0
// The journal alone: one shard appends records with distinct identities in a closed loop and waits
// for their receipts. Prints records a second and CPU a record of all threads of the process.
//   taskset -c 1 journal_bench DIRECTORY [seconds] [record bytes] [in flight] [records a turn]
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <semaphore>
#include <string>

#include "base/check.hpp"
#include "journal/journal.hpp"
#include "telemetry/metrics.hpp"

namespace {

using namespace trialwire;
using namespace trialwire::journal;
using Clock = std::chrono::steady_clock;

struct Count final : Waiter {
  std::uint64_t told = 0;
  void committed(const Receipt& receipt) noexcept override {
    TW_CHECK(receipt.state == Receipt::State::durable && receipt.stored == 1);
    ++told;
  }
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::uint64_t argument(int argc, char** argv, int i, std::uint64_t otherwise) {
  return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
}

class Loop {
 public:
  Loop(Appender& appender, std::size_t bytes) : appender_(appender), body_(bytes, 'x') {
    record_.attributes.origin = "http 127.0.0.1:51234";
    record_.bytes = as_bytes(body_);
  }
  void append() {
    TW_CHECK(appender_.admit(body_.size()).has_value());
    ++appended_;
    std::memcpy(body_.data(), &appended_, sizeof appended_);
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    record_.attributes.received_ns = now.count();
    record_.attributes.identity = siphash(appender_.identity_key(), {record_.bytes.data(), 32});
    record_.attributes.content_hash = siphash(appender_.identity_key(), record_.bytes).low;
    appender_.begin(GroupMode::each);
    appender_.add(record_);
    appender_.end(count_);
  }
  std::uint64_t appended() const { return appended_; }
  std::uint64_t told() const { return count_.told; }

 private:
  Appender& appender_;
  std::string body_;
  Record record_;
  Count count_;
  std::uint64_t appended_ = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count())
                            << 20;
};

}  // namespace

int main(int argc, char** argv) {
  TW_CHECK(argc > 1);
  const auto seconds = std::chrono::seconds(argument(argc, argv, 2, 10));
  const std::size_t bytes = argument(argc, argv, 3, 220);
  const std::uint64_t in_flight = argument(argc, argv, 4, 4096);
  const std::uint64_t turn = argument(argc, argv, 5, 512);

  telemetry::Registry metrics;
  Options options;
  options.directory = argv[1];
  const auto opening = Clock::now();
  auto opened = Journal::open(options, posix_files(), metrics);
  if (!opened) {
    fmt::print(stderr, "{}\n", opened.error().text);
    return 1;
  }
  fmt::print("opened in {:.2f} s\n", std::chrono::duration<double>(Clock::now() - opening).count());
  Journal& journal = **opened;
  std::counting_semaphore<> news{0};
  auto port = journal.add_shard([&] { news.release(); });
  journal.start([](const Error& error) { fmt::print(stderr, "fatal: {}\n", error.text); });

  Loop loop(*port.appender, bytes);
  const std::uint64_t first = loop.appended();
  const auto start = Clock::now();
  const double cpu = cpu_seconds();
  std::uint64_t cursor = journal.end().next_sequence;
  while (Clock::now() - start < seconds) {
    while (loop.appended() - first < loop.told() + in_flight) {
      for (std::uint64_t i = 0; i < turn && loop.appended() - first < loop.told() + in_flight;
           ++i) {
        loop.append();
      }
      port.appender->flush();
    }
    news.acquire();
    port.deliver();
    if (loop.told() > cursor + 1'000'000) {  // a consumer that keeps up: segments can go
      cursor = loop.told();
      journal.set_cursor("bench", journal.end());
    }
  }
  while (loop.told() < loop.appended() - first) {
    news.acquire();
    port.deliver();
  }
  const double took = std::chrono::duration<double>(Clock::now() - start).count();
  const double used = cpu_seconds() - cpu;
  const auto n = static_cast<double>(loop.told());
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{:.0f} records/s, {:.0f} ns CPU a record, {:.2f} cores, {} records, {} MiB peak\n",
             n / took, used / n * 1e9, used / took, loop.told(), usage.ru_maxrss / 1024);
  journal.stop();
  fmt::print("{}", metrics.text());
  return 0;
}
