// SPDX-License-Identifier: Apache-2.0
#include "journal/journal.hpp"

#include <gtest/gtest.h>

#include <semaphore>

#include "base/check.hpp"
#include "support/faulty_files.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::journal {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t received_ns = 1'700'000'000'123'000'000;

struct Told final : Waiter {
  std::vector<Receipt> receipts;
  void committed(const Receipt& receipt) noexcept override { receipts.push_back(receipt); }
};

/// The whole journal on a disk in memory, one shard, the test's thread being the shard's.
class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    options_.directory = "/journal";
    options_.segment_bytes = 1 << 20;
    options_.commit_interval = 0us;
    options_.silence = 1h;
    options_.dedupe_bytes = 256 << 10;  // generations of 512 identities
    options_.scrub_bytes_per_second = 0;
  }
  ~JournalTest() override { journal_.reset(); }

  void open() {
    journal_.reset();
    auto opened = Journal::open(options_, files_, registry_);
    ASSERT_TRUE(opened) << opened.error().text;
    journal_ = std::move(*opened);
    port_ = journal_->add_shard([this] { news_.release(); });
    journal_->start([this](const Error&) { fatal_.release(); });
  }

  static std::string body(std::uint64_t id) { return fmt::format("report {}", id); }

  void append(std::uint64_t id) {
    const std::string bytes = body(id);
    Record record;
    record.attributes.identity = siphash(port_.appender->identity_key(), as_bytes(bytes));
    record.attributes.content_hash = id;
    record.attributes.received_ns = received_ns;
    record.bytes = as_bytes(bytes);
    port_.appender->begin(GroupMode::each);
    port_.appender->add(record);
    port_.appender->end(told_);
  }

  /// Appends ids first … first + count - 1, `turn` at a time; returns their receipts.
  std::vector<Receipt> store(std::uint64_t first, std::uint64_t count, std::uint64_t turn = 50) {
    told_.receipts.clear();
    for (std::uint64_t i = 0; i < count; ++i) {
      append(first + i);
      if ((i + 1) % turn != 0 && i + 1 != count) continue;
      port_.appender->flush();
      for (port_.deliver(); told_.receipts.size() < i + 1; port_.deliver()) {
        if (news_.try_acquire_for(20s)) continue;
        ADD_FAILURE() << "no receipt";
        return told_.receipts;
      }
    }
    return told_.receipts;
  }

  /// Reads everything from the cursor on and checks that it is records first … first + count - 1.
  void expect_records(Reader& reader, std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t next = first; next < first + count;) {
      auto batch = reader.next(20s, {});
      ASSERT_TRUE(batch) << batch.error().text;
      ASSERT_FALSE((*batch)->records.empty());
      EXPECT_EQ((*batch)->first_sequence, next);
      for (const Record& record : (*batch)->records) {
        ASSERT_EQ(record.sequence, next);
        ASSERT_EQ(record.journal, journal_->status().id);
        ASSERT_EQ(as_text(record.bytes), body(next));
        ++next;
      }
      EXPECT_EQ(reader.position().next_sequence, next);
    }
  }

  support::FaultyFiles files_{{}};
  telemetry::Registry registry_;
  Options options_;
  std::counting_semaphore<> news_{0};
  std::counting_semaphore<> fatal_{0};
  Told told_;
  std::unique_ptr<Journal> journal_;
  Journal::ShardPort port_;
};

TEST_F(JournalTest, WhatIsStoredIsReadBackInOrderAlsoAfterARestart) {
  open();
  store(1, 500);
  auto reader = journal_->read(journal_->begin());
  ASSERT_TRUE(reader);
  expect_records(**reader, 1, 500);
  reader->reset();
  open();
  EXPECT_EQ(journal_->end().next_sequence, 501u);
  auto again = journal_->read(journal_->begin());
  ASSERT_TRUE(again);
  expect_records(**again, 1, 500);
}

TEST_F(JournalTest, AReaderGoesFromTheSegmentsToTheRecentBatchesAndBack) {
  options_.recent_bytes = 64 << 10;
  open();
  store(1, 4000);
  auto reader = journal_->read(journal_->begin());
  ASSERT_TRUE(reader);
  expect_records(**reader, 1, 4000);  // the oldest are no longer in memory
  store(4001, 50);
  expect_records(**reader, 4001, 50);  // from memory
  store(4051, 4000);
  expect_records(**reader, 4051, 4000);  // has fallen behind
}

TEST_F(JournalTest, AReaderBeginsAndSeeksWithinABatch) {
  open();
  store(1, 100);
  auto reader = journal_->read({journal_->status().id, 77});
  ASSERT_TRUE(reader);
  expect_records(**reader, 77, 24);
  ASSERT_TRUE((*reader)->seek({journal_->status().id, 30}));
  expect_records(**reader, 30, 71);
}

TEST_F(JournalTest, ACursorBeyondTheEndOrOfAnotherJournalIsRefused) {
  open();
  store(1, 10);
  EXPECT_EQ(journal_->read({journal_->status().id, 12}).error().code, ErrorCode::corrupt);
  EXPECT_EQ(journal_->read({Uuid::random(), 1}).error().code, ErrorCode::corrupt);
  EXPECT_TRUE(journal_->read(journal_->end()));
}

TEST_F(JournalTest, AReaderThatWaitsIsWokenByTheNextBatch) {
  open();
  auto reader = journal_->read(journal_->end());
  ASSERT_TRUE(reader);
  auto nothing = (*reader)->next(1ms, {});
  ASSERT_TRUE(nothing);
  EXPECT_TRUE((*nothing)->records.empty());
  std::jthread consumer([&] { expect_records(**reader, 1, 200); });
  store(1, 200);
}

TEST_F(JournalTest, RetriesAreRecognisedAfterEvictionToRunsAndAfterARestart) {
  open();
  const auto first = store(1, 3000);
  for (int restart = 0; restart < 2; ++restart) {
    const auto again = store(1, 3000);
    for (std::size_t i = 0; i < first.size(); ++i) {
      ASSERT_EQ(again[i].duplicates, 1u) << i;
      ASSERT_EQ(again[i].first_sequence, first[i].first_sequence);
      ASSERT_EQ(again[i].first_record_id, first[i].first_record_id);
    }
    EXPECT_EQ(journal_->end().next_sequence, 3001u);
    open();
  }
}

TEST_F(JournalTest, RetriesAreRecognisedAsFarBackAsTheIndexReachesAcrossSegmentsAndARestart) {
  open();
  const std::string text = registry_.text();
  const std::string_view gauge = "\ntrialwire_dedupe_capacity ";
  const std::uint64_t reach = std::stoull(text.substr(text.find(gauge) + gauge.size()));
  const std::uint64_t older = 5000, newest = older + reach;
  store(1, older, 500);
  const auto first = store(older + 1, reach, 500);
  EXPECT_GT(journal_->status().segments, 5u);
  for (int restart = 0; restart < 2; ++restart) {
    const auto again = store(older + 1, reach, 500);
    ASSERT_EQ(again.size(), reach);
    for (std::size_t i = 0; i < reach; ++i) {
      ASSERT_EQ(again[i].duplicates, 1u) << i;
      ASSERT_EQ(again[i].first_sequence, first[i].first_sequence);
    }
    EXPECT_EQ(journal_->end().next_sequence, newest + 1);
    open();
  }
}

TEST_F(JournalTest, EachStartHasAnEpochOfItsOwnAndSequencesGoOn) {
  open();
  store(1, 5);
  const auto epoch = journal_->status().epoch;
  open();
  store(6, 5);
  EXPECT_GT(journal_->status().epoch, epoch);
  auto reader = journal_->read(journal_->begin());
  expect_records(**reader, 1, 10);
}

TEST_F(JournalTest, AGroupThatNoSegmentHoldsIsRefusedAndTheJournalGoesOn) {
  open();
  const std::string large(options_.segment_bytes, 'x');
  Record record;
  record.attributes.received_ns = received_ns;
  record.bytes = as_bytes(large);
  port_.appender->begin(GroupMode::each);
  port_.appender->add(record);
  EXPECT_FALSE(port_.appender->fits());
  port_.appender->cancel();
  // Even when its appender does not ask.
  port_.appender->begin(GroupMode::each);
  port_.appender->add(record);
  port_.appender->end(told_);
  port_.appender->flush();
  for (port_.deliver(); told_.receipts.empty(); port_.deliver()) {
    ASSERT_TRUE(news_.try_acquire_for(20s));
  }
  EXPECT_EQ(told_.receipts[0].state, Receipt::State::refused);
  EXPECT_EQ(told_.receipts[0].error, ErrorCode::payload_too_large);
  EXPECT_EQ(store(1, 10).back().state, Receipt::State::durable);
}

TEST_F(JournalTest, TheLargestGroupThatFitsIsStoredBehindAlmostAFullBatch) {
  options_.batch_bytes_max = options_.segment_bytes;  // more than a segment can do with
  open();
  std::string bytes;
  auto add = [&](char fill, std::size_t size) {
    bytes.assign(size, fill);
    Record record;
    record.attributes.received_ns = received_ns;
    record.attributes.identity = siphash(port_.appender->identity_key(), as_bytes(bytes));
    record.bytes = as_bytes(bytes);
    port_.appender->begin(GroupMode::each);
    port_.appender->add(record);
    return port_.appender->fits();
  };
  std::size_t largest = 0;
  for (std::size_t size = 8; size < options_.segment_bytes; size += 64) {
    if (add('z', size)) largest = size;
    port_.appender->cancel();
  }
  ASSERT_GT(largest, options_.segment_bytes / 4);
  const std::size_t quarter = options_.segment_bytes / 4 - 100;  // two of them are almost a batch
  for (const auto& [fill, size] : {std::pair('a', quarter), {'b', quarter}, {'c', largest}}) {
    ASSERT_TRUE(add(fill, size));
    port_.appender->end(told_);
  }
  port_.appender->flush();
  for (port_.deliver(); told_.receipts.size() < 3; port_.deliver()) {
    ASSERT_TRUE(news_.try_acquire_for(20s));
  }
  for (const Receipt& receipt : told_.receipts) EXPECT_EQ(receipt.state, Receipt::State::durable);
}

TEST_F(JournalTest, AFullDiskRefusesAndIntakeReturnsWithTheSpace) {
  open();
  store(1, 10);
  std::uint64_t used = 0;
  for (const std::string& path : files_.paths()) used += files_.contents(path)->size();
  files_.set_capacity(used);
  std::uint64_t id = 11;
  Receipt last;
  // What is written in advance is used up first.
  while (port_.appender->admit(20'000) && last.state != Receipt::State::refused) {
    ASSERT_LT(id, 100'000u);
    last = store(id, 200).back();
    id += 200;
  }
  if (last.state == Receipt::State::refused) {
    EXPECT_EQ(last.error, ErrorCode::disk_full);
  } else {
    EXPECT_EQ(port_.appender->admit(20'000).error().code, ErrorCode::disk_full);
  }
  const std::uint64_t stored = journal_->end().next_sequence - 1;
  files_.set_capacity(1ULL << 40);
  while (!port_.appender->admit(20'000)) std::this_thread::yield();
  EXPECT_FALSE(journal_->status().failed);
  // The identity index, which could not be written out either, tries again after a while.
  while (store(1, 1).back().state == Receipt::State::refused) std::this_thread::yield();
  // A retry of all: what was stored is known, what was refused is stored now.
  std::uint64_t known = 0;
  for (const Receipt& r : store(1, id - 1)) {
    EXPECT_EQ(r.state, Receipt::State::durable);
    known += r.duplicates;
  }
  EXPECT_EQ(known, stored);
  EXPECT_EQ(journal_->end().next_sequence, id);
}

TEST_F(JournalTest, AFailedSyncIsFinalAndIsToldOnce) {
  open();
  store(1, 10);
  // The background may take an error that was meant for the batch: then another one.
  std::size_t acknowledged = 0;
  bool fatal = false;
  for (std::uint64_t id = 11; !fatal; ++id) {
    ASSERT_LT(id, 100u);
    port_.deliver();
    acknowledged = told_.receipts.size();
    files_.sync_error_in(1);
    append(id);
    port_.appender->flush();
    fatal = fatal_.try_acquire_for(200ms);
  }
  EXPECT_TRUE(journal_->status().failed);
  EXPECT_EQ(port_.appender->admit(1).error().code, ErrorCode::unavailable);
  journal_->stop();
  port_.deliver();
  EXPECT_EQ(told_.receipts.size(), acknowledged);
  EXPECT_FALSE(fatal_.try_acquire());
}

TEST_F(JournalTest, APowerCutLosesNothingThatWasAcknowledged) {
  for (std::uint64_t cut = 5; cut < 60; cut += 7) {
    open();
    const std::uint64_t before = journal_->end().next_sequence;
    files_.power_cut_in(cut);
    told_.receipts.clear();
    std::uint64_t acknowledged = before;
    for (std::uint64_t id = before; id < before + 100 && !journal_->status().failed; ++id) {
      append(id);
      port_.appender->flush();
      while (!news_.try_acquire_for(1ms) && !journal_->status().failed) {
      }
      port_.deliver();
    }
    for (const Receipt& r : told_.receipts) {
      if (r.state == Receipt::State::durable) acknowledged = r.first_sequence + 1;
    }
    files_.power_cut();
    journal_->stop();
    files_.restart();
    open();
    EXPECT_GE(journal_->end().next_sequence, acknowledged);
    auto reader = journal_->read(journal_->begin());
    ASSERT_TRUE(reader);
    expect_records(**reader, 1, acknowledged - 1);
    reader->reset();
    store(journal_->end().next_sequence, 3);
  }
}

TEST_F(JournalTest, ShardsAndReadersWorkAtTheSameTime) {
  options_.recent_bytes = 256 << 10;
  options_.commit_interval = 100us;
  journal_.reset();
  auto opened = Journal::open(options_, files_, registry_);
  ASSERT_TRUE(opened);
  journal_ = std::move(*opened);
  constexpr std::uint64_t each = 3000;
  struct Count final : Waiter {
    std::uint64_t told = 0;
    void committed(const Receipt& receipt) noexcept override {
      TW_CHECK(receipt.state == Receipt::State::durable);
      ++told;
    }
  };
  std::array<Journal::ShardPort, 2> ports;
  for (auto& port : ports) port = journal_->add_shard([] {});
  journal_->start([](const Error&) {});
  {
    std::vector<std::jthread> threads;
    for (unsigned s = 0; s < 2; ++s) {
      threads.emplace_back([&, s] {
        Count count;
        for (std::uint64_t i = 1; i <= each; ++i) {
          Record record;
          const std::uint64_t id = s * 100'000 + i;
          record.attributes.identity = siphash({}, std::as_bytes(std::span(&id, 1)));
          record.bytes = as_bytes("report");
          ports[s].appender->begin(GroupMode::each);
          ports[s].appender->add(record);
          ports[s].appender->end(count);
          if (i % 20 == 0) ports[s].appender->flush();
          ports[s].deliver();
        }
        ports[s].appender->flush();
        while (count.told < each) {
          ports[s].deliver();
          std::this_thread::yield();
        }
      });
    }
    for (int r = 0; r < 2; ++r) {
      threads.emplace_back([&] {
        auto reader = journal_->read(journal_->begin());
        ASSERT_TRUE(reader);
        std::uint64_t next = 1;
        while (next <= 2 * each) {
          auto batch = (*reader)->next(1s, {});
          ASSERT_TRUE(batch) << batch.error().text;
          for (const Record& record : (*batch)->records) ASSERT_EQ(record.sequence, next++);
          journal_->set_cursor(fmt::format("reader {}", next % 2), (*reader)->position());
        }
      });
    }
  }
  EXPECT_EQ(journal_->end().next_sequence, 2 * each + 1);
  journal_->stop();
}

}  // namespace
}  // namespace trialwire::journal
