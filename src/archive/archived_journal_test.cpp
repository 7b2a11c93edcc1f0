// SPDX-License-Identifier: Apache-2.0
#include "archive/archived_journal.hpp"

#include <deque>

#include "archive/test_archive.hpp"
#include "journal/journal_reader.hpp"

namespace trialwire::archive {
namespace {

using journal::Cursor;

/// The fixture's store as a journal: what was appended is read from its segments.
class StoreJournal final : public journal::Journal {
 public:
  explicit StoreJournal(journal::SegmentStore& store) : store_(store) {}

  ShardPort add_shard(std::function<void()>) override { return {}; }
  void start(std::function<void(const Error&)>) override {}
  void stop() override {}
  Result<std::unique_ptr<journal::Reader>> read(const Cursor& from) override {
    if (auto valid = store_.check_cursor(from); !valid) return std::unexpected(valid.error());
    auto& recent = recent_.emplace_back(0, store_.tail().next_sequence);  // as a commit says it
    return std::make_unique<journal::JournalReader>(
        journal::JournalReader::Sources{.store = store_, .recent = recent}, from);
  }
  Cursor begin() const override { return {store_.status().id, store_.first_sequence()}; }
  Cursor end() const override { return {store_.status().id, store_.tail().next_sequence}; }
  void set_cursor(std::string_view consumer, const Cursor& durable) override {
    store_.set_cursor(consumer, durable.next_sequence);
  }
  journal::Backlog backlog(std::uint64_t next) const override { return store_.backlog(next); }
  journal::Status status() const override { return store_.status(); }
  std::size_t pending_bytes() const noexcept override { return 0; }

 private:
  journal::SegmentStore& store_;
  std::deque<journal::RecentBatches> recent_;  // of each reader
};

class ArchivedJournalTest : public ArchiveFixture {
 protected:
  /// Three segments, archived and deleted, and one more sealed and some records in the journal.
  void SetUp() override {
    auto options = this->options();
    options.retention = {};
    open_journal(options);
    fill_open(3);
    ASSERT_TRUE(make_archiver().round());
    journal_->set_cursor("sink", journal_->tail().next_sequence);
    journal_->maintain();
    journal_->set_cursor("sink", 0);
    fill_open(1);
    ASSERT_TRUE(append(*journal_, 3));
    ASSERT_GT(journal_->first_sequence(), 1U);
    inner_.emplace(*journal_);
  }
  void TearDown() override { inner_.reset(); }

  std::vector<std::uint64_t> read_all(journal::Journal& journal, std::uint64_t from) {
    std::vector<std::uint64_t> sequences;
    auto reader = journal.read({journal.begin().journal, from});
    EXPECT_TRUE(reader) << (reader ? "" : reader.error().text);
    if (!reader) return sequences;
    while ((*reader)->position().next_sequence < journal.end().next_sequence) {
      const auto batch = (*reader)->next(std::chrono::milliseconds(0), {});
      EXPECT_TRUE(batch) << (batch ? "" : batch.error().text);
      if (!batch) break;
      for (const auto& record : (*batch)->records) {
        sequences.push_back(record.sequence);
        EXPECT_EQ(record.journal, journal.begin().journal);
        EXPECT_EQ(as_text(record.bytes).substr(0, 10), body(record.sequence).substr(0, 10));
      }
    }
    return sequences;
  }
  std::vector<std::uint64_t> from(std::uint64_t first) const {
    std::vector<std::uint64_t> sequences;
    for (auto at = first; at < journal_->tail().next_sequence; ++at) sequences.push_back(at);
    return sequences;
  }

  std::optional<StoreJournal> inner_;
};

TEST_F(ArchivedJournalTest, AConsumerThatIsFarBehindReadsTheArchiveAndThenTheJournal) {
  ArchivedJournal journal(*inner_, store_);
  EXPECT_EQ(journal.begin().next_sequence, 1U);
  for (const std::uint64_t first : {std::uint64_t{1}, std::uint64_t{9},
                                    journal_->first_sequence() - 1, journal_->first_sequence()}) {
    EXPECT_EQ(read_all(journal, first), from(first));
  }
}

TEST_F(ArchivedJournalTest, WhatTheArchiveDoesNotHaveIsNotPromised) {
  const auto whole = journal::read_file(object(manifest_object(archive().journal(), 2)));
  std::filesystem::remove(object(manifest_object(archive().journal(), 2)));
  ArchivedJournal holed(*inner_, store_);
  EXPECT_EQ(holed.begin().next_sequence, archive().manifest(3)->segment.first_sequence);
  std::filesystem::remove(object(manifest_object(archive().journal(), 3)));
  ArchivedJournal apart(*inner_, store_);
  EXPECT_EQ(apart.begin().next_sequence, journal_->first_sequence());
  EXPECT_EQ(apart.read({archive().journal(), 1}).error().code, ErrorCode::not_found);
}

TEST_F(ArchivedJournalTest, AnArchiveThatCannotBeAskedIsWaitedFor) {
  store_.fail_after(0);
  ArchivedJournal journal(*inner_, store_);
  EXPECT_EQ(journal.begin().next_sequence, 1U);
  auto reader = journal.read({archive().journal(), 1});
  ASSERT_TRUE(reader);
  EXPECT_FALSE((*reader)->next(std::chrono::milliseconds(0), {}));
  store_.heal();
  const auto batch = (*reader)->next(std::chrono::milliseconds(0), {});
  ASSERT_TRUE(batch) << batch.error().text;
  EXPECT_EQ((*batch)->records.front().sequence, 1U);
}

/// A server that had archived nothing when it started.
class YoungArchivedJournalTest : public ArchivedJournalTest {
 protected:
  void SetUp() override {
    auto options = this->options();
    options.retention = {};
    open_journal(options);
    ASSERT_TRUE(append(*journal_, 3));
    inner_.emplace(*journal_);
  }
  /// So many more segments are archived and deleted.
  void archive_and_delete(std::uint64_t segments) {
    journal_->set_cursor("sink", 0);
    fill_open(segments);
    ASSERT_TRUE((archiver_ ? *archiver_ : make_archiver()).round());
    journal_->set_cursor("sink", journal_->tail().next_sequence);
    journal_->maintain();
  }
};

TEST_F(YoungArchivedJournalTest, WhatIsArchivedLaterIsThereToo) {
  ArchivedJournal journal(*inner_, store_);
  EXPECT_EQ(journal.begin().next_sequence, 1U);
  for (int round = 0; round < 2; ++round) {
    archive_and_delete(2);
    ASSERT_GT(journal_->first_sequence(), 1U);
    EXPECT_EQ(journal.begin().next_sequence, 1U);
    EXPECT_EQ(read_all(journal, 1), from(1));
  }
}

TEST_F(YoungArchivedJournalTest, TheArchiveIsAskedWhenTheJournalHasDeletedAndNotElse) {
  ArchivedJournal journal(*inner_, store_);
  archive_and_delete(2);
  EXPECT_EQ(journal.begin().next_sequence, 1U);
  const std::uint64_t calls = store_.calls();
  EXPECT_EQ(journal.begin().next_sequence, 1U);
  EXPECT_EQ(store_.calls(), calls);
}

TEST_F(YoungArchivedJournalTest, WhatCannotBeAskedWhenItIsWantedIsNotPassedOver) {
  ArchivedJournal journal(*inner_, store_);
  archive_and_delete(2);
  store_.fail_after(0);
  EXPECT_EQ(journal.begin().next_sequence, 1U);
  auto reader = journal.read({archive().journal(), 2});
  ASSERT_TRUE(reader);
  EXPECT_FALSE((*reader)->next(std::chrono::milliseconds(0), {}));
  store_.heal();
  const auto batch = (*reader)->next(std::chrono::milliseconds(0), {});
  ASSERT_TRUE(batch) << batch.error().text;
  EXPECT_EQ((*batch)->records.front().sequence, 2U);
}

TEST_F(YoungArchivedJournalTest, AReaderInTheArchiveFollowsWhatTheJournalDeletesMeanwhile) {
  archive_and_delete(2);
  ArchivedJournal journal(*inner_, store_);
  auto reader = journal.read({archive().journal(), 1});
  ASSERT_TRUE(reader);
  std::vector<std::uint64_t> read;
  while ((*reader)->position().next_sequence < journal.end().next_sequence) {
    const auto batch = (*reader)->next(std::chrono::milliseconds(0), {});
    ASSERT_TRUE(batch) << batch.error().text;
    for (const auto& record : (*batch)->records) read.push_back(record.sequence);
    if (read.size() == (*batch)->records.size()) archive_and_delete(2);
  }
  EXPECT_EQ(read, from(1));
}

TEST_F(ArchivedJournalTest, AReaderSeeksBackIntoTheArchive) {
  ArchivedJournal journal(*inner_, store_);
  auto reader = journal.read({archive().journal(), 1});
  ASSERT_TRUE(reader);
  while ((*reader)->position().next_sequence < journal.end().next_sequence) {
    ASSERT_TRUE((*reader)->next(std::chrono::milliseconds(0), {}));
  }
  ASSERT_TRUE((*reader)->seek({archive().journal(), 4}));
  const auto batch = (*reader)->next(std::chrono::milliseconds(0), {});
  ASSERT_TRUE(batch);
  EXPECT_EQ((*batch)->records.front().sequence, 4U);
}

TEST_F(ArchivedJournalTest, ADamagedObjectIsAnErrorThatNamesIt) {
  journal::flip_bit(object(segment_object(archive().journal(), 1)), 50);
  ArchivedJournal journal(*inner_, store_);
  auto reader = journal.read({archive().journal(), 1});
  ASSERT_TRUE(reader);
  Result<journal::Batch*> batch{nullptr};
  do {
    batch = (*reader)->next(std::chrono::milliseconds(0), {});
  } while (batch);
  EXPECT_EQ(batch.error().code, ErrorCode::corrupt);
  EXPECT_NE(batch.error().text.find(segment_object(archive().journal(), 1)), std::string::npos);
}

TEST_F(ArchivedJournalTest, ACursorOfAnotherJournalIsRefusedAsByTheJournal) {
  ArchivedJournal journal(*inner_, store_);
  const auto refused = journal.read({Uuid::random(), 1});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::corrupt);
  EXPECT_FALSE(journal.read({archive().journal(), journal.end().next_sequence + 1}));
}

}  // namespace
}  // namespace trialwire::archive
