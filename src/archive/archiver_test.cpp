// SPDX-License-Identifier: Apache-2.0
#include "archive/archiver.hpp"

#include "archive/archive_reader.hpp"
#include "archive/test_archive.hpp"

namespace trialwire::archive {
namespace {

using journal::flip_bit;
using journal::write_file;

class ArchiverTest : public ArchiveFixture {
 protected:
  /// Nothing is deleted that this does not hold back.
  bool deletes_with(std::string_view consumer, std::uint64_t at) {
    const std::uint64_t before = journal_->first_sequence();
    journal_->set_cursor(consumer, at);
    journal_->maintain();
    return journal_->first_sequence() > before;
  }
  journal::StoreOptions deleting() const {
    auto options = this->options();
    options.retention = {};  // as soon as it may
    return options;
  }
  std::vector<std::uint64_t> archived_sequences() {
    std::vector<std::uint64_t> sequences;
    ArchiveReader reader(archive(), archive().numbers().value_or(std::vector<std::uint64_t>{}), 1);
    while (true) {
      const auto batch = reader.next();
      EXPECT_TRUE(batch) << (batch ? "" : batch.error().text);
      if (!batch || *batch == nullptr) return sequences;
      std::vector<journal::Record> records;
      EXPECT_TRUE(journal::decode_batch(**batch, records));
      for (const auto& record : records) {
        sequences.push_back(record.sequence);
        EXPECT_EQ(as_text(record.bytes), body(record.sequence, 3'000));
      }
    }
  }
  void expect_all_archived() {
    const std::uint64_t end = journal_->sealed_segments().back().next_sequence;
    const auto sequences = archived_sequences();
    ASSERT_EQ(sequences.size(), end - 1);
    for (std::uint64_t i = 0; i < sequences.size(); ++i) ASSERT_EQ(sequences[i], i + 1);
  }
};

TEST_F(ArchiverTest, EverySealedSegmentIsArchivedWithItsManifest) {
  archived(3);
  expect_all_archived();
  for (const auto& segment : journal_->sealed_segments()) {
    const auto manifest = archive().manifest(segment.number);
    ASSERT_TRUE(manifest) << manifest.error().text;
    EXPECT_EQ(manifest->segment, segment);
    EXPECT_EQ(manifest->raw_bytes, journal_->segment_bytes());
    EXPECT_LT(manifest->stored_bytes, manifest->raw_bytes / 4);
    EXPECT_EQ(manifest->archived_ns, now_ns);
    const auto key = archive().key(manifest->key);
    ASSERT_TRUE(key) << key.error().text;
    EXPECT_TRUE(check_seal(*manifest, *key));
  }
  const auto begin = archive().mark(MarkKind::begin);
  ASSERT_TRUE(begin && *begin);
  EXPECT_EQ((*begin)->segment, 1U);
  EXPECT_EQ((*begin)->chain, journal::genesis_hash(journal_->status().id));
  EXPECT_EQ(archiver_->state().segments_waiting, 0U);
}

TEST_F(ArchiverTest, AnArchivedSegmentIsTheJournalsFileByteForByte) {
  archived(1);
  auto raw = archive().open_raw(*archive().manifest(1));
  ASSERT_TRUE(raw);
  std::string bytes(journal_->segment_bytes() + 1, 'x');
  const auto read = (*raw)->read(std::as_writable_bytes(std::span(bytes)));
  ASSERT_TRUE(read) << read.error().text;
  bytes.resize(*read);
  EXPECT_EQ(bytes, journal::read_file(file(1)));
}

TEST_F(ArchiverTest, AJournalWithoutAFullSegmentHasNothingToArchive) {
  open_journal();
  ASSERT_TRUE(append(*journal_, 5));
  EXPECT_TRUE(make_archiver().round());
  EXPECT_TRUE(archive().numbers()->empty());
  EXPECT_EQ(archiver_->state().segments_waiting, 0U);
}

TEST_F(ArchiverTest, ASegmentIsDeletedOnlyAfterItIsArchived) {
  open_journal(deleting());
  fill_open(3);
  make_archiver();
  const std::uint64_t end = journal_->tail().next_sequence;
  EXPECT_FALSE(deletes_with(sink, end));
  store_.fail_after(0);
  EXPECT_FALSE(archiver_->round());
  EXPECT_FALSE(deletes_with(sink, end));
  store_.heal();
  EXPECT_TRUE(archiver_->round());
  EXPECT_TRUE(deletes_with(sink, end));
  EXPECT_TRUE(journal_->sealed_segments().empty());
  EXPECT_EQ(archived_sequences().size(), archive().manifest(3)->last_sequence());
}

TEST_F(ArchiverTest, WhateverCallFailsTheNextRoundFinishesAndNothingIsLost) {
  open_journal(deleting());
  fill_open(2);
  const std::uint64_t end = journal_->tail().next_sequence;
  make_archiver();
  journal_->set_cursor(sink, end);
  // One call more succeeds each time, from none to all.
  std::uint64_t failures = 0;
  for (std::uint64_t calls = 0;; ++calls) {
    store_.fail_after(calls);
    const auto done = archiver_->round();
    store_.heal();
    if (done) break;
    ++failures;
    const auto state = archiver_->state();
    EXPECT_NE(state.error, "");
    // What the journal has deleted by now is whole in the archive.
    journal_->maintain();
    if (state.next_sequence > 0) {
      for (const std::uint64_t number : *archive().numbers()) {
        EXPECT_TRUE(check_stored(archive(), {.journal = archive().journal(),
                                             .number = number,
                                             .bytes = journal_->segment_bytes()}));
      }
    }
    EXPECT_GE(archived_sequences().size() + 1, journal_->first_sequence());
  }
  EXPECT_GT(failures, 10U);
  EXPECT_EQ(archived_sequences().size(), archive().manifest(2)->last_sequence());
  EXPECT_EQ(archiver_->state().error, "");
}

TEST_F(ArchiverTest, WhatAnEarlierProcessArchivedIsNotArchivedAgain) {
  archived(2);
  const auto before = journal::contents(root());
  close_journal();
  open_journal();
  fill_open(3);
  EXPECT_TRUE(make_archiver().round());
  auto after = journal::contents(root());
  for (const auto& [name, bytes] : before) EXPECT_EQ(after[name], bytes) << name;
  EXPECT_EQ(after.size(), before.size() + 2);
}

TEST_F(ArchiverTest, AnObjectWithoutManifestIsAdoptedWhenItIsRightAndReplacedWhenNot) {
  archived(2);
  const Uuid id = archive().journal();
  const std::string first = journal::read_file(object(segment_object(id, 1)));
  for (const std::uint64_t number : {1, 2}) {
    std::filesystem::remove(object(manifest_object(id, number)));
  }
  flip_bit(object(segment_object(id, 2)), 100);
  EXPECT_TRUE(make_archiver().round());
  EXPECT_EQ(journal::read_file(object(segment_object(id, 1))), first);
  expect_all_archived();
}

TEST_F(ArchiverTest, ADamagedManifestIsWrittenAnewWhileTheJournalHasTheSegment) {
  archived(2);
  const auto name = object(manifest_object(archive().journal(), 1));
  const std::string whole = journal::read_file(name);
  flip_bit(name, 40);
  EXPECT_FALSE(archive().manifest(1));
  EXPECT_TRUE(make_archiver().round());
  EXPECT_EQ(journal::read_file(name), whole);
}

TEST_F(ArchiverTest, AMissingObjectIsStoredAnewWhileTheJournalHasTheSegment) {
  archived(2);
  std::filesystem::remove(object(segment_object(archive().journal(), 2)));
  EXPECT_TRUE(make_archiver().round());
  expect_all_archived();
}

TEST_F(ArchiverTest, ADamagedSegmentIsNotArchivedAndNotDeleted) {
  open_journal(deleting());
  fill_open(2);
  flip_bit(file(1), 5'000);
  const auto done = make_archiver().round();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::corrupt);
  EXPECT_NE(done.error().text.find("0000000000000001.zst"), std::string::npos) << done.error().text;
  EXPECT_TRUE(archive().numbers()->empty());
  EXPECT_FALSE(deletes_with(sink, journal_->tail().next_sequence));
}

TEST_F(ArchiverTest, ASealThatIsNotSignedByTheJournalsKeyStopsTheArchive) {
  open_journal();
  fill_open(1);
  std::string seal = journal::read_file(in_journal(journal::seal_name(1)));
  seal.replace(seal.find("records"), 9, "records 9");
  write_file(in_journal(journal::seal_name(1)), seal);
  const auto done = make_archiver().round();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::corrupt);
}

TEST_F(ArchiverTest, AnotherHistoryOfTheSameJournalIsRefusedAndNamed) {
  open_journal();
  close_journal();
  std::filesystem::copy(options().directory, directory_.path() / "older");
  archived(2);
  close_journal();
  std::filesystem::remove_all(options().directory);
  std::filesystem::rename(directory_.path() / "older", options().directory);
  open_journal();
  const auto before = journal::contents(root());
  while (journal_->sealed_segments().size() < 2) {
    ASSERT_TRUE(append(*journal_, 1, 2'000));
    journal_->maintain();
  }
  const auto done = make_archiver().round();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
  EXPECT_NE(done.error().text.find("older copy"), std::string::npos) << done.error().text;
  EXPECT_EQ(journal::contents(root()), before) << "both histories are kept";
}

TEST_F(ArchiverTest, OnlyWhatIsOlderThanKeepIsRemovedAndNeverWhatTheJournalHas) {
  const auto keep = std::chrono::hours(24);
  open_journal(deleting());
  fill_open(2);
  ASSERT_TRUE(make_archiver(keep).round());
  journal_->set_cursor(sink, journal_->tail().next_sequence);
  journal_->maintain();
  clock_ns_ += std::chrono::nanoseconds(keep).count();
  fill_open(2);
  ASSERT_TRUE(archiver_->round());
  EXPECT_EQ(archive().numbers()->size(), 4U) << "not older than keep yet";
  clock_ns_ += 1'000'000;
  ASSERT_TRUE(archiver_->round());
  EXPECT_EQ(*archive().numbers(), (std::vector<std::uint64_t>{3, 4}));
  EXPECT_FALSE(std::filesystem::exists(object(segment_object(archive().journal(), 1))));
  const auto mark = archive().mark(MarkKind::expired);
  ASSERT_TRUE(mark && *mark);
  EXPECT_EQ((*mark)->segment, 2U);
  EXPECT_EQ((*mark)->sequence, archive().manifest(3)->segment.first_sequence);
}

TEST_F(ArchiverTest, AClockThatIsFarAheadRemovesNothing) {
  open_journal(deleting());
  fill_open(2);
  ASSERT_TRUE(make_archiver(std::chrono::hours(24)).round());
  journal_->set_cursor(sink, journal_->tail().next_sequence);
  journal_->maintain();
  clock_ns_ += std::chrono::nanoseconds(std::chrono::hours(24 * 3650)).count();
  ASSERT_TRUE(archiver_->round());
  EXPECT_EQ(archive().numbers()->size(), 2U);
}

TEST_F(ArchiverTest, AThreadArchivesWhatIsSealedAndStopsAtOnce) {
  open_journal();
  fill_open(3);
  Archiver& archiver = make_archiver();
  archiver.start();
  while (archiver.state().next_sequence < journal_->sealed_segments().back().next_sequence) {
    std::this_thread::yield();
  }
  archiver.stop();
  expect_all_archived();
}

}  // namespace
}  // namespace trialwire::archive
