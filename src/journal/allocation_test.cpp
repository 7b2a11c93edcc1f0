// SPDX-License-Identifier: Apache-2.0
// Counts every operator new of the process while the journal's warm path runs.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "journal/committer.hpp"
#include "journal/shard_appender.hpp"
#include "journal/store_double.hpp"
#include "support/faulty_files.hpp"

// A sanitizer brings an allocator of its own.
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool own_allocator = false;
#else
constexpr bool own_allocator = true;
#endif

namespace {
std::atomic<bool> counting{false};
std::atomic<std::uint64_t> allocations{0};

[[maybe_unused]] void* counted(std::size_t bytes, std::size_t alignment) {
  if (counting.load(std::memory_order_relaxed)) allocations.fetch_add(1);
  void* memory = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (memory == nullptr) std::abort();
  return memory;
}
}  // namespace

#if !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
void* operator new(std::size_t bytes) {
  return counted(bytes, 16);
}
void* operator new[](std::size_t bytes) {
  return counted(bytes, 16);
}
void* operator new(std::size_t bytes, std::align_val_t to) {
  return counted(bytes, static_cast<std::size_t>(to));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
#endif

namespace trialwire::journal {
namespace {

struct Count final : Waiter {
  std::uint64_t told = 0;
  void committed(const Receipt& receipt) noexcept override {
    TW_CHECK(receipt.state == Receipt::State::durable);
    ++told;
  }
};

void expect_no_allocation(Acknowledge acknowledge) {
  if (!own_allocator) GTEST_SKIP() << "the sanitizer's allocator is in use";
  support::FaultyFiles files{{}};
  ASSERT_TRUE(files.create_directory("/j"));
  telemetry::Registry registry;
  StoreDouble store(false);
  DedupeOptions options{.directory = "/j", .journal = store.chain().journal, .bytes = 8 << 20};
  auto dedupe = DedupeIndex::open(options, files, registry, {}, {});
  ASSERT_TRUE(dedupe);
  CommitQueue queue({.interval = std::chrono::nanoseconds(0), .silence = std::chrono::hours(1)},
                    acknowledge);
  queue.add_shard([] {});
  ShardAppender appender({queue, store, 64 << 20}, 0);
  RecentBatches recent(1 << 20, 1);
  Committer committer({queue, store, **dedupe, recent}, {}, registry);
  committer.start([](const Error&) {});

  Count count;
  std::uint64_t appended = 0;
  std::string body(220, 'x');
  Record record;
  record.bytes = as_bytes(body);
  record.attributes.received_ns = 1'700'000'000'000'000'000;
  auto turns = [&](int n) {
    for (int turn = 0; turn < n; ++turn) {
      for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(appender.admit(body.size()));
        ++appended;
        record.attributes.identity = siphash({1, 1}, std::as_bytes(std::span(&appended, 1)));
        appender.begin(GroupMode::each);
        appender.add(record);
        appender.end(count);
      }
      appender.flush();
      while (count.told < appended) {
        queue.replicated(recent.next_sequence());
        appender.deliver();
      }
    }
  };
  turns(60);  // fills the recent batches once; below one generation of the index
  allocations = 0;
  counting = true;
  turns(60);
  counting = false;
  EXPECT_EQ(allocations.load(), 0u) << "in " << 60 * 100 << " records";
  committer.stop();
}

TEST(Allocation, AppendingCommittingAndAnsweringAllocateNothingOnceWarm) {
  expect_no_allocation(Acknowledge::when_durable);
}

TEST(Allocation, AnsweringWhatIsReplicatedAllocatesNothingOnceWarm) {
  expect_no_allocation(Acknowledge::when_replicated);
}

}  // namespace
}  // namespace trialwire::journal
