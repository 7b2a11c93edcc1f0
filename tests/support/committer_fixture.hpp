// SPDX-License-Identifier: Apache-2.0
// For the tests of the way of a record and of its receipt back: a committer over a store in memory,
// with two shards whose turns are the test's.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <memory>
#include <semaphore>
#include <string_view>
#include <vector>

#include "journal/committer.hpp"
#include "journal/shard_appender.hpp"
#include "journal/store_double.hpp"
#include "support/faulty_files.hpp"

namespace trialwire::journal {

using namespace std::chrono_literals;
using State = Receipt::State;

/// Keeps what it was told.
struct Told final : Waiter {
  Receipt receipt;
  std::vector<std::uint32_t> conflicts;
  std::vector<std::uint64_t> sequences;
  int times = 0;
  void committed(const Receipt& r) noexcept override {
    receipt = r;
    conflicts.assign(r.conflicts.begin(), r.conflicts.end());
    sequences.assign(r.sequences.begin(), r.sequences.end());
    ++times;
  }
};

class CommitterTest : public testing::Test {
 protected:
  static constexpr std::int64_t received_ns = 1'700'000'000'123'456'789;

  CommitterTest() { EXPECT_TRUE(files_.create_directory("/j")); }
  ~CommitterTest() override {
    if (committer_) {
      store_.open_gate();
      committer_->stop();
    }
  }

  void start() {
    DedupeOptions dedupe;
    dedupe.directory = "/j";
    dedupe.journal = store_.chain().journal;
    dedupe.bytes = 1 << 20;
    dedupe_ = std::move(*DedupeIndex::open(dedupe, files_, registry_, {}, {}));
    queue_ = std::make_unique<CommitQueue>(rule_, acknowledge_);
    for (std::uint32_t i = 0; i < 2; ++i) {
      queue_->add_shard([this] { news_.release(); });
      shards_[i] = std::make_unique<ShardAppender>(
          ShardAppender::Context{*queue_, store_, unacknowledged_bytes_max_}, i);
    }
    recent_ = std::make_unique<RecentBatches>(1 << 20, 1);
    committer_ = std::make_unique<Committer>(Committer::Parts{*queue_, store_, *dedupe_, *recent_},
                                             limits_, registry_);
    dedupe_->start();
    committer_->start([this](const Error& error) {
      fatal_ = error;
      fatal_count_.release();
    });
  }

  static Record record(std::uint64_t id, std::string_view bytes = "report") {
    Record r;
    r.attributes.identity = siphash({5, 6}, std::as_bytes(std::span(&id, 1)));
    r.attributes.received_ns = received_ns;
    r.attributes.content_hash = siphash({5, 6}, as_bytes(bytes)).low;
    r.bytes = as_bytes(bytes);
    return r;
  }

  struct Item {
    std::uint64_t id;
    std::string_view bytes = "report";
  };
  std::uint64_t append(unsigned shard, Told& told, std::initializer_list<Item> items,
                       GroupMode mode = GroupMode::each) {
    shards_[shard]->begin(mode);
    for (const Item& item : items) shards_[shard]->add(record(item.id, item.bytes));
    return shards_[shard]->end(told);
  }
  void flush() {
    for (auto& shard : shards_) shard->flush();
  }
  void deliver() {
    for (auto& shard : shards_) shard->deliver();
  }
  /// Until all of them were told.
  void wait_for(std::initializer_list<Told*> all) {
    auto done = [&] {
      return std::ranges::all_of(all, [](const Told* t) { return t->times > 0; });
    };
    for (deliver(); !done(); deliver()) ASSERT_TRUE(news_.try_acquire_for(20s));
  }

  support::FaultyFiles files_{{}};
  telemetry::Registry registry_;
  StoreDouble store_;
  CommitRule::Limits rule_{.bytes = 64 << 10, .interval = 0us, .silence = 1h};
  Acknowledge acknowledge_ = Acknowledge::when_durable;
  Committer::Limits limits_;
  std::size_t unacknowledged_bytes_max_ = 1 << 20;
  std::unique_ptr<DedupeIndex> dedupe_;
  std::unique_ptr<CommitQueue> queue_;
  std::unique_ptr<ShardAppender> shards_[2];
  std::unique_ptr<RecentBatches> recent_;
  std::unique_ptr<Committer> committer_;
  std::counting_semaphore<> news_{0};
  std::counting_semaphore<> fatal_count_{0};
  Error fatal_;
};

}  // namespace trialwire::journal
