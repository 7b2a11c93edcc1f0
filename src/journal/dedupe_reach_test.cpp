// SPDX-License-Identifier: Apache-2.0
// How far back the identity index reaches: as far as it says, for each identity.
#include <gtest/gtest.h>

#include <charconv>

#include "journal/dedupe.hpp"
#include "support/faulty_files.hpp"

namespace trialwire::journal {
namespace {

using Verdict = DedupeIndex::Verdict;

constexpr std::int64_t received_ns = 1'700'000'000'000'000'000;

/// An index over a disk in memory; the record of sequence n has the seed's n-th identity.
class DedupeReach : public testing::TestWithParam<std::uint64_t> {
 protected:
  DedupeReach() {
    EXPECT_TRUE(files_.create_directory("/j"));
    options_.directory = "/j";
    options_.journal = Uuid::random();
    options_.bytes = 1 << 20;
    options_.retry = std::chrono::milliseconds(1);
  }

  static DedupeEntry entry_of(std::uint64_t n) {
    return {siphash({GetParam(), 7}, std::as_bytes(std::span(&n, 1))), n * 3, n,
            DedupeEntry::pack(received_ns, 3)};
  }

  void open() {
    index_.reset();
    auto replay = [&](SequenceRange range, const DedupeIndex::Take& take) -> Result<void> {
      for (std::uint64_t n = range.first; n <= range.last; ++n) {
        const DedupeEntry entry = entry_of(n);
        Record record;
        record.sequence = n;
        record.epoch = entry.epoch();
        record.attributes.identity = entry.identity;
        record.attributes.content_hash = entry.content_hash;
        record.attributes.received_ns = received_ns;
        take(record);
      }
      return {};
    };
    registry_ = std::make_unique<telemetry::Registry>();
    auto opened = DedupeIndex::open(options_, files_, *registry_, {1, next_}, replay);
    ASSERT_TRUE(opened) << opened.error().text;
    index_ = std::move(*opened);
    index_->start();
  }

  /// Stores new identities until there are so many.
  void fill_to(std::uint64_t count) {
    constexpr std::uint64_t batch = 512;
    while (next_ <= count) {
      ASSERT_TRUE(index_->begin_batch());
      for (const std::uint64_t end = next_ + batch; next_ < end; ++next_) {
        auto answer = index_->admit(entry_of(next_));
        ASSERT_TRUE(answer);
        ASSERT_EQ(answer->verdict, Verdict::fresh) << next_;
      }
      index_->durable(next_);
    }
  }

  std::uint64_t oldest_in_reach() const { return next_ - std::min(next_ - 1, index_->capacity()); }

  /// How many of the newest `capacity` are taken for new. Their retries change nothing.
  std::uint64_t forgotten() {
    std::uint64_t count = 0;
    for (std::uint64_t n = oldest_in_reach(); n < next_; ++n) {
      if (n % 1024 == 0) EXPECT_TRUE(index_->begin_batch());
      const std::size_t mark = index_->mark();
      auto answer = index_->admit(entry_of(n));
      EXPECT_TRUE(answer);
      if (answer->verdict != Verdict::duplicate || answer->known.sequence != n) ++count;
      index_->undo_to(mark);
    }
    return count;
  }

  std::uint64_t metric(std::string_view name) const {
    const std::string text = registry_->text();
    const std::string line = fmt::format("\n{} ", name);
    EXPECT_NE(text.find(line), std::string::npos) << name;
    const std::size_t at = text.find(line) + line.size();
    std::uint64_t value = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), value);
    return value;
  }

  support::FaultyFiles files_{{}};
  DedupeOptions options_;
  std::uint64_t next_ = 1;
  std::unique_ptr<telemetry::Registry> registry_;
  std::unique_ptr<DedupeIndex> index_;
};

TEST_P(DedupeReach, EveryRetryIsFoundHoweverFullItIsAndAfterARestart) {
  open();
  const std::uint64_t capacity = index_->capacity();
  for (const std::uint64_t percent : {60, 75, 90, 100, 250}) {
    fill_to(capacity * percent / 100);
    EXPECT_EQ(forgotten(), 0u) << "of " << next_ - oldest_in_reach() << " at " << percent << " %";
  }
  open();
  EXPECT_EQ(metric("trialwire_dedupe_lost_sequences_total"), 0u);
  EXPECT_EQ(forgotten(), 0u) << "after a restart";
  fill_to(capacity * 3);
  EXPECT_EQ(forgotten(), 0u) << "half of them from before the restart";
}

TEST_P(DedupeReach, WhatIsNewSeldomAsksAFileAlsoWhenItIsFull) {
  open();
  fill_to(index_->capacity() * 2);
  index_->wait_idle();
  const std::uint64_t before = metric("trialwire_dedupe_disk_lookups_total");
  const std::uint64_t from = next_;
  fill_to(next_ + index_->capacity() / 5);
  const std::uint64_t asked = metric("trialwire_dedupe_disk_lookups_total") - before;
  EXPECT_LT(asked * 1000, (next_ - from) * 20);
  EXPECT_GT(asked * 1000, next_ - from);
}

TEST_P(DedupeReach, WhatIsTakenBackAgainAndAgainCrowdsNothing) {
  open();
  fill_to(index_->capacity());
  index_->wait_idle();
  const std::uint64_t group = 1000;
  for (int turn = 0; turn < 60; ++turn) {
    ASSERT_TRUE(index_->begin_batch());
    const std::size_t mark = index_->mark();
    for (std::uint64_t n = 0; n < group; ++n) {
      auto answer = index_->admit(entry_of(next_ * 2 + n));
      ASSERT_TRUE(answer);
      ASSERT_EQ(answer->verdict, Verdict::fresh);
    }
    index_->undo_to(mark);
  }
  std::uint64_t asked = metric("trialwire_dedupe_disk_lookups_total");
  const std::uint64_t from = next_;
  fill_to(next_ + index_->capacity() / 20);
  asked = metric("trialwire_dedupe_disk_lookups_total") - asked;
  EXPECT_LT(asked * 1000, (next_ - from) * 30);
  EXPECT_EQ(forgotten(), 0u);
}

TEST_P(DedupeReach, WithLessMemoryItReachesLessFarAndWhatIsNewStillSeldomAsksAFile) {
  open();
  fill_to(index_->capacity() * 3 / 2);
  index_->wait_idle();
  options_.bytes = 256 << 10;
  open();
  EXPECT_EQ(forgotten(), 0u);
  const std::uint64_t before = metric("trialwire_dedupe_disk_lookups_total");
  const std::uint64_t from = next_;
  fill_to(next_ + 10'000);
  const std::uint64_t asked = metric("trialwire_dedupe_disk_lookups_total") - before;
  EXPECT_LT(asked * 1000, (next_ - from) * 50);
  fill_to(next_ + index_->capacity() * 2);
  EXPECT_EQ(forgotten(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, DedupeReach, testing::Values(1, 2, 3));

TEST(TagTableReach, WithinItsCapacityATagIsFoundOrItsEraIsSaidAnyway) {
  TagTable tags(1 << 18);
  const std::uint64_t capacity = tags.capacity(), total = capacity * 3;
  auto id = [](std::uint64_t i) { return siphash({3, 4}, std::as_bytes(std::span(&i, 1))); };
  auto era = [&](std::uint64_t i) { return i / tags.era_entries(); };
  for (std::uint64_t i = 0, percent = 10; i < total; ++i) {
    tags.insert(id(i), era(i));
    if ((i + 1) * 100 != capacity * percent && i + 1 != total) continue;
    percent += 10;
    for (std::uint64_t k = i - std::min(i, capacity - 1); k <= i; ++k) {
      ASSERT_NE(tags.find(id(k), era(i)) >> (era(i) - era(k)) & 1, 0u) << k << " of " << i;
    }
  }
}

TEST(TagTableReach, ALineThatOverflowsSaysTheErasOfWhatItHasOverwritten) {
  TagTable tags(1);
  auto id = [](std::uint64_t i) { return Hash128{i << 32 | i, 5}; };
  const std::uint64_t all = (1ULL << TagTable::eras) - 1;
  const Hash128 other{0xfff, 5};
  std::uint64_t n = 0;
  for (std::uint64_t era = 100; era < 105; ++era) {
    for (int i = 0; i < 7; ++i) tags.insert(id(++n), era);
  }
  for (int i = 0; i < 2; ++i) tags.insert(id(++n), 105);
  EXPECT_EQ(tags.find(other, 105), 0u);  // 37: none is overwritten
  tags.insert(id(++n), 106);
  EXPECT_EQ(tags.find(other, 106) & all, all << 6 & all);  // one of era 100
  for (int i = 0; i < 6; ++i) tags.insert(id(++n), 107);
  EXPECT_EQ(tags.find(other, 107) & all, all << 7 & all);  // all of era 100
  tags.insert(id(++n), 107);
  EXPECT_EQ(tags.find(other, 107) & all, all << 6 & all);
  EXPECT_EQ(tags.find(other, 110) & all, all << 9 & all);
  EXPECT_EQ(tags.find(other, 116) & all, 0u);  // out of reach
}

}  // namespace
}  // namespace trialwire::journal
