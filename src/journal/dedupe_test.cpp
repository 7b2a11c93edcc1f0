// SPDX-License-Identifier: Apache-2.0
#include "journal/dedupe.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "support/faulty_files.hpp"

namespace trialwire::journal {
namespace {

using Verdict = DedupeIndex::Verdict;
using std::chrono::hours;

constexpr std::int64_t start_ns = 1'700'000'000'000'000'000;

/// An index over a disk in memory, with the journal played by a list of entries.
class DedupeTest : public testing::Test {
 protected:
  DedupeTest() {
    EXPECT_TRUE(files_.create_directory("/j"));
    options_.directory = "/j";
    options_.journal = Uuid::random();
    options_.bytes = 1 << 20;
    options_.generation = 64;
    options_.fan_in = 4;
    options_.retry = std::chrono::milliseconds(1);
  }

  static Hash128 identity_of(std::uint64_t n) {
    return siphash({1, 2}, std::as_bytes(std::span(&n, 1)));
  }

  void open() {
    index_.reset();
    auto replay = [&](SequenceRange range, const DedupeIndex::Take& take) -> Result<void> {
      replayed_.push_back(range);
      for (std::uint64_t s = range.first; s <= range.last; ++s) {
        if (!journal_.contains(s)) continue;
        const DedupeEntry& e = journal_[s];
        Record record;
        record.sequence = s;
        record.epoch = e.epoch();
        record.attributes.identity = e.identity;
        record.attributes.content_hash = e.content_hash;
        record.attributes.received_ns = e.received_ms() * 1'000'000;
        take(record);
      }
      return {};
    };
    replayed_.clear();
    registry_ = std::make_unique<telemetry::Registry>();
    auto opened = DedupeIndex::open(options_, files_, *registry_, {first_, next_}, replay);
    ASSERT_TRUE(opened) << opened.error().text;
    index_ = std::move(*opened);
    index_->start();
  }

  DedupeEntry candidate(std::uint64_t n, std::int64_t after_ms = 0) const {
    return {identity_of(n), n * 7, next_, DedupeEntry::pack(start_ns + after_ms * 1'000'000, 3)};
  }

  /// One batch that stores `n` … `n + count - 1`; all must be fresh.
  void store(std::uint64_t n, std::uint64_t count, std::int64_t after_ms = 0) {
    ASSERT_TRUE(index_->begin_batch());
    for (std::uint64_t i = n; i < n + count; ++i) {
      const DedupeEntry e = candidate(i, after_ms);
      auto answer = index_->admit(e);
      ASSERT_TRUE(answer);
      ASSERT_EQ(answer->verdict, Verdict::fresh) << i;
      journal_[next_++] = e;
    }
    index_->durable(next_);
  }

  /// The same, each batch settled before the next so that the files are the same in every run.
  void store_in_batches(std::uint64_t n, std::uint64_t count, std::int64_t after_ms = 0) {
    for (std::uint64_t i = 0; i < count; i += 16) {
      store(n + i, std::min<std::uint64_t>(16, count - i), after_ms);
      index_->wait_idle();
    }
  }

  void expect_known(std::uint64_t n, std::int64_t after_ms = 0) {
    ASSERT_TRUE(index_->begin_batch());
    auto answer = index_->admit(candidate(n, after_ms));
    ASSERT_TRUE(answer) << answer.error().text;
    ASSERT_EQ(answer->verdict, Verdict::duplicate) << n;
    const DedupeEntry& stored = journal_[answer->known.sequence];
    EXPECT_EQ(stored.identity, identity_of(n));
    EXPECT_EQ(answer->known.origin, stored.origin);
  }

  std::size_t runs() {
    std::size_t count = 0;
    const auto names = files_.list("/j");
    for (const auto& name : *names) count += parse_run_name(name).has_value();
    return count;
  }
  std::string any_run() {
    const auto names = files_.list("/j");
    for (const auto& name : *names) {
      if (parse_run_name(name)) return "/j/" + name;
    }
    return {};
  }

  support::FaultyFiles files_{{}};
  DedupeOptions options_;
  std::map<std::uint64_t, DedupeEntry> journal_;
  std::vector<SequenceRange> replayed_;
  std::uint64_t first_ = 1, next_ = 1;
  std::unique_ptr<telemetry::Registry> registry_;
  std::unique_ptr<DedupeIndex> index_;
};

TEST_F(DedupeTest, SameIdentityAndBytesIsADuplicateAndOtherBytesAreAConflict) {
  open();
  store(1, 10);
  expect_known(5);
  DedupeEntry other = candidate(5);
  other.content_hash ^= 1;
  auto answer = index_->admit(other);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->verdict, Verdict::conflict);
  EXPECT_EQ(answer->known.sequence, 5u);
}

TEST_F(DedupeTest, ARecordWithoutIdentityIsNeverADuplicate) {
  open();
  DedupeEntry audit;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(index_->admit(audit)->verdict, Verdict::fresh);
}

TEST_F(DedupeTest, WhatIsTakenBackIsFreshAgain) {
  open();
  store(1, 5);
  const std::size_t mark = index_->mark();
  for (std::uint64_t n : {10, 11, 12}) index_->admit(candidate(n));
  index_->undo_to(mark);
  EXPECT_EQ(index_->admit(candidate(11))->verdict, Verdict::fresh);
  expect_known(3);
}

TEST_F(DedupeTest, IdentitiesAreFoundInRunsAndAfterMerges) {
  open();
  store_in_batches(1, 64 * 17);
  EXPECT_LE(runs(), 4u);
  EXPECT_GE(runs(), 2u);
  for (std::uint64_t n = 1; n <= 64 * 17; ++n) expect_known(n);
  for (std::uint64_t n = 5000; n < 5500; ++n) {
    EXPECT_EQ(index_->admit(candidate(n))->verdict, Verdict::fresh);
  }
}

TEST_F(DedupeTest, AnEraThatIsOverBecomesOneRunAndTheOldestErasAreForgotten) {
  options_.bytes = 32 << 10;  // holds some 8,000 identities: eras of 9 generations
  open();
  const std::uint64_t capacity = index_->capacity();
  store_in_batches(1, capacity / 16 * 16);
  EXPECT_LE(runs(), 24u);
  for (std::uint64_t n = 1; n < capacity / 16 * 16; ++n) expect_known(n);
  store_in_batches(capacity + 16, 3 * capacity / 16 * 16);
  EXPECT_LE(runs(), 40u);
  EXPECT_EQ(index_->admit(candidate(1))->verdict, Verdict::fresh);
  const std::uint64_t last = capacity + 16 + 3 * capacity / 16 * 16;
  for (std::uint64_t n = last - capacity; n < last; ++n) expect_known(n);
  open();
  for (std::uint64_t n = last - capacity; n < last; ++n) expect_known(n);
  EXPECT_NE(registry_->text().find("trialwire_dedupe_lost_sequences_total 0"), std::string::npos);
}

TEST_F(DedupeTest, IdentitiesAreFoundWhileTheirGenerationIsBeingWritten) {
  open();
  for (std::uint64_t n = 1; n < 3000; n += 10) {
    store(n, 10);  // the background thread is somewhere in between
    expect_known(n);
    expect_known(n / 2 + 1);
  }
}

TEST_F(DedupeTest, ARestartFindsWhatRunsHoldAndReadsOnlyTheRestFromTheJournal) {
  open();
  store_in_batches(1, 64 * 5 + 10);
  open();
  ASSERT_EQ(replayed_.size(), 1u);
  EXPECT_EQ(replayed_[0].last, next_ - 1);
  EXPECT_LE(replayed_[0].last - replayed_[0].first, 80u);
  for (std::uint64_t n = 1; n <= 64 * 5 + 10; ++n) expect_known(n);
}

TEST_F(DedupeTest, AMissingRunIsRebuiltFromTheJournal) {
  open();
  store_in_batches(1, 64 * 3);
  index_.reset();
  files_.erase(any_run());
  open();
  EXPECT_EQ(replayed_.at(0).first, 1u);
  for (std::uint64_t n = 1; n <= 64 * 3; ++n) expect_known(n);
  open();  // and is there again
  EXPECT_GT(replayed_.empty() ? next_ : replayed_.at(0).first, 64u);
}

TEST_F(DedupeTest, ADamagedRunIsRebuiltWhereverTheDamageIs) {
  for (std::uint64_t bit : {8ULL * 3, 8ULL * 4096 + 7, 8ULL * 5000}) {
    open();
    store_in_batches(next_, 64);
    index_.reset();
    files_.flip_bit(any_run(), bit);
    open();
    for (std::uint64_t n = 1; n < next_; ++n) expect_known(n);
  }
}

TEST_F(DedupeTest, LostIdentitiesAreCountedWhenTheJournalNoLongerHasThem) {
  open();
  store_in_batches(1, 128);
  index_.reset();
  files_.erase(any_run());
  first_ = 33;
  for (std::uint64_t s = 1; s < first_; ++s) journal_.erase(s);
  open();
  EXPECT_NE(registry_->text().find("trialwire_dedupe_lost_sequences_total 32"), std::string::npos);
  expect_known(33);
}

TEST_F(DedupeTest, ARunWithoutEntriesForgetsNothing) {
  open();
  store_in_batches(1, 64);
  index_.reset();
  first_ = next_ = next_ + 1000;  // of the sequences since, the journal has none
  open();
  store_in_batches(next_, 64);
  expect_known(5);
  open();
  expect_known(5);
}

TEST_F(DedupeTest, WhatIsWrittenOutNeedsTheJournalNoLonger) {
  open();
  std::atomic<std::uint64_t> told{0};
  index_->stop();
  index_->on_written([&] { told = index_->needed_from(); });
  index_->start();
  store_in_batches(1, 63);
  EXPECT_EQ(index_->needed_from(), 1u);
  store_in_batches(64, 1);
  EXPECT_EQ(index_->needed_from(), 65u);
  EXPECT_EQ(told, 65u);
}

TEST_F(DedupeTest, ARunAheadOfTheJournalIsDropped) {
  open();
  store_in_batches(1, 64);
  ASSERT_EQ(runs(), 1u);
  index_.reset();
  next_ = 40;  // the journal comes from an older copy
  journal_.erase(journal_.lower_bound(40), journal_.end());
  open();
  EXPECT_EQ(runs(), 0u);
  EXPECT_EQ(index_->admit(candidate(50))->verdict, Verdict::fresh);
  expect_known(39);
}

TEST_F(DedupeTest, ARunOfAnotherJournalIsRefused) {
  open();
  store_in_batches(1, 64);
  index_.reset();
  options_.journal = Uuid::random();
  auto opened = DedupeIndex::open(options_, files_, *registry_, {first_, next_}, {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::corrupt);
}

TEST_F(DedupeTest, BeyondTheWindowAnIdentityIsNewAgainAndThenKnownByItsNewRecord) {
  options_.window = hours(1);
  open();
  const std::int64_t hour_ms = 3'600'000;
  store_in_batches(1, 64);
  expect_known(7, hour_ms);
  auto late = index_->admit(candidate(7, hour_ms + 1));
  ASSERT_EQ(late->verdict, Verdict::fresh);
  journal_[next_++] = candidate(7, hour_ms + 1);
  auto again = index_->admit(candidate(7, hour_ms + 2));
  ASSERT_EQ(again->verdict, Verdict::duplicate);
  EXPECT_EQ(again->known.sequence, 65u);
}

TEST_F(DedupeTest, RunsBeyondTheWindowAreDeletedOnPurposeAndNotMissedAtRestart) {
  options_.window = hours(1);
  open();
  store_in_batches(1, 64 * 2);
  store_in_batches(1000, 64 * 2, 3 * 3'600'000);
  EXPECT_LE(runs(), 2u);
  open();
  EXPECT_EQ(registry_->text().find("trialwire_dedupe_lost_sequences_total 1"), std::string::npos);
  expect_known(1000, 3 * 3'600'000);
}

TEST_F(DedupeTest, WindowZeroTurnsItOff) {
  options_.window = hours(0);
  open();
  EXPECT_EQ(index_->admit(candidate(1))->verdict, Verdict::fresh);
  EXPECT_EQ(index_->admit(candidate(1))->verdict, Verdict::fresh);
}

TEST_F(DedupeTest, AFullDiskRefusesBatchesOnlyWhenMemoryIsFullAndHeals) {
  open();
  files_.set_capacity(0);
  Result<void> room;
  for (std::uint64_t n = 1; n < 1000 && room; n += 16) {
    room = index_->begin_batch();
    if (room) store(n, 16);
  }
  ASSERT_FALSE(room);
  EXPECT_EQ(room.error().code, ErrorCode::disk_full);
  for (std::uint64_t n = 1; n < next_; ++n) {
    EXPECT_EQ(index_->admit(candidate(n))->verdict, Verdict::duplicate);
  }
  files_.set_capacity(1 << 30);
  while (!index_->begin_batch()) std::this_thread::yield();
  for (std::uint64_t n = 1; n < next_; ++n) expect_known(n);
}

TEST_F(DedupeTest, AFailedMergeKeepsItsInputs) {
  open();
  store_in_batches(1, 64 * 3);
  files_.read_error_in(20);
  store_in_batches(1000, 64 * 2);
  files_.clear_faults();
  for (std::uint64_t n = 1; n <= 64 * 3; ++n) expect_known(n);
}

TEST_F(DedupeTest, APowerCutAtAnyCallLosesNoIdentityOfADurableRecord) {
  for (std::uint64_t calls = 1; calls < 60; calls += 3) {
    open();
    files_.power_cut_in(calls);
    for (int i = 0; i < 20 && index_->begin_batch(); ++i) {
      const std::uint64_t n = next_;
      store(n, 16);
    }
    index_->stop();
    files_.power_cut();
    index_.reset();
    files_.restart();
    open();
    for (std::uint64_t n = 1; n < next_; n += 5) expect_known(n);
  }
}

TEST(TagTable, RemembersTheMostRecentIdentitiesWithTheirErasAndIsSeldomWrong) {
  TagTable tags(1 << 16);
  const std::uint64_t n = tags.capacity() * 3;
  auto id = [](std::uint64_t i) { return siphash({3, 4}, std::as_bytes(std::span(&i, 1))); };
  auto era = [&](std::uint64_t i) { return i / tags.era_entries(); };
  for (std::uint64_t i = 0; i < n; ++i) tags.insert(id(i), era(i));
  for (std::uint64_t i = n - tags.capacity(); i < n; ++i) {
    ASSERT_NE(tags.find(id(i), era(n)) >> (era(n) - era(i)) & 1, 0u) << i;
  }
  std::uint64_t wrong = 0, wrong_eras = 0;
  for (std::uint64_t i = n; i < 2 * n; ++i) {
    const std::uint64_t eras = tags.find(id(i), era(n)) & ((1ULL << TagTable::eras) - 1);
    wrong += eras != 0;
    wrong_eras += static_cast<std::uint64_t>(std::popcount(eras));
  }
  EXPECT_LT(wrong * 1000, n * 12);  // 22 tags of 12 bits: 0.5 %; lines that have overflowed: 0.2 %
  EXPECT_GT(wrong * 1000, n * 3);
  EXPECT_LT(wrong_eras * 10, wrong * 15);
}

TEST(TagTable, ALineThatSawNothingForManyErasStillKnowsTheirNumber) {
  TagTable tags(1);
  const Hash128 old{0xabc, 5}, newer{0xdef, 6};
  tags.insert(old, 100);
  EXPECT_EQ(tags.find(old, 120), 1ULL << 20);
  tags.insert(newer, 110);
  EXPECT_EQ(tags.find(old, 120), 1ULL << 20);
  EXPECT_EQ(tags.find(newer, 120), 1ULL << 10);
}

TEST(HotTable, FindsTheNewestOfEqualIdentitiesAndTakesBackAcrossGrowth) {
  HotTable table(16);
  const Hash128 twice{0x1234'5678'9abc'def0, 42};
  table.insert({twice, 1, 1, 0});
  for (std::uint64_t i = 0; i < 20'000; ++i) table.insert({{i * 0x9e3779b97f4a7c15, i + 1}, 0, i});
  table.insert({twice, 2, 99, 0});
  EXPECT_EQ(table.find(twice)->sequence, 99u);
  table.undo_to(10'000);
  EXPECT_EQ(table.find(twice)->sequence, 1u);
  EXPECT_EQ(table.size(), 10'000u);
  EXPECT_EQ(table.find({19'999 * 0x9e3779b97f4a7c15ULL, 20'000}), nullptr);
  table.clear();
  EXPECT_EQ(table.find(twice), nullptr);
}

}  // namespace
}  // namespace trialwire::journal
