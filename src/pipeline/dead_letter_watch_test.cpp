// SPDX-License-Identifier: Apache-2.0
#include "pipeline/dead_letter_watch.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <string_view>
#include <thread>

#include "support/memory_store.hpp"

namespace trialwire::pipeline {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds patience{60};  // a failing test's end, not a wait

/// No lane anywhere.
class DeadLetterWatchTest : public testing::Test {
 protected:
  DeadLetterWatchTest() {
    options.look = milliseconds(1);
    options.forget_look = milliseconds(1);
    options.unix_now_ns = [this] { return now_ns.load(); };
  }
  bool says(std::string_view line) { return metrics.text().contains(line); }
  void wait_for(std::string_view line) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!says(line) && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    EXPECT_TRUE(says(line)) << line << '\n' << metrics.text();
  }
  /// One of sequence 2, delivered at `now_ns`.
  void deliver() {
    std::lock_guard lock(store.mutex);
    store.letters.erase(2);
    store.redelivered.insert(2);
    store.delivered_ns[2] = now_ns;
  }
  bool has_delivered() {
    std::lock_guard lock(store.mutex);
    return store.redelivered.contains(2);
  }

  std::atomic<std::int64_t> now_ns = 1'000'000;
  telemetry::Registry metrics;
  support::MemoryStore store;
  DeadLetterWatchOptions options;
};

TEST_F(DeadLetterWatchTest,
       what_waits_is_counted_where_no_lane_is_and_where_no_sink_is_configured) {
  store.letters[2] = 1;
  DeadLetterWatch watch(options, store, metrics);
  watch.add("kafka");
  EXPECT_TRUE(says(R"(trialwire_sink_dead_letters_waiting{sink="kafka"} 0)"));
  watch.start();
  wait_for(R"(trialwire_sink_dead_letters_waiting{sink="memory"} 1)");
  {
    std::lock_guard lock(store.mutex);
    store.letters.clear();
  }
  wait_for(R"(trialwire_sink_dead_letters_waiting{sink="memory"} 0)");
  watch.stop();
}

TEST_F(DeadLetterWatchTest, a_delivered_letter_is_kept_for_its_time_and_then_forgotten) {
  options.delivered_keep = std::chrono::nanoseconds(500);
  std::atomic<int> looks = 0;
  store.looked = [&] { ++looks; };
  deliver();
  DeadLetterWatch watch(options, store, metrics);
  watch.add("memory");
  watch.start();
  now_ns += 500;
  for (const int before = looks; looks < before + 2;) std::this_thread::yield();
  EXPECT_TRUE(has_delivered()) << "not yet";
  now_ns += 1;
  wait_for(R"(trialwire_sink_dead_letters_forgotten_total{sink="memory"} 1)");
  EXPECT_FALSE(has_delivered());
}

TEST_F(DeadLetterWatchTest, without_a_limit_delivered_letters_are_kept) {
  options.delivered_keep = {};
  std::atomic<int> looks = 0;
  store.looked = [&] { ++looks; };
  deliver();
  store.letters[3] = 1;
  DeadLetterWatch watch(options, store, metrics);
  watch.add("memory");
  watch.start();
  wait_for(R"(trialwire_sink_dead_letters_waiting{sink="memory"} 1)");
  EXPECT_EQ(looks, 0);
}

}  // namespace
}  // namespace trialwire::pipeline
