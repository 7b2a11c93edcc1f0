// SPDX-License-Identifier: Apache-2.0
#include "archive/verify.hpp"

#include "archive/test_archive.hpp"
#include "journal/offline.hpp"

namespace trialwire::archive {
namespace {

using journal::flip_bit;

class VerifyArchiveTest : public ArchiveFixture {
 protected:
  journal::StoreOptions deleting() const {
    auto options = this->options();
    options.retention = {};
    return options;
  }
  /// Five segments archived, the first three of them deleted from the journal, which is closed.
  void SetUp() override {
    open_journal(deleting());
    fill_open(3);
    ASSERT_TRUE(make_archiver().round());
    journal_->set_cursor("sink", journal_->tail().next_sequence);
    journal_->maintain();
    journal_->set_cursor("sink", 0);
    fill_open(2);
    ASSERT_TRUE(archiver_->round());
    id_ = journal_->status().id;
    close_journal();
  }
  ArchiveReport verify(bool with_journal = true) {
    const auto info = journal::journal_info(options().directory, journal::posix_files());
    EXPECT_TRUE(info) << info.error().text;
    const auto report =
        verify_archive(Archive(store_, id_), {.journal = with_journal ? &*info : nullptr});
    EXPECT_TRUE(report) << report.error().text;
    return *report;
  }
  /// Is exactly this object named as a problem?
  testing::AssertionResult names(const ArchiveReport& report, const std::string& object) {
    for (const auto& finding : report.findings) {
      if (finding.severity != Severity::problem) continue;
      if (finding.object.find(object) != std::string::npos ||
          finding.text.find(object) != std::string::npos) {
        return testing::AssertionSuccess();
      }
    }
    auto result = testing::AssertionFailure() << object << " is not named:";
    for (const auto& finding : report.findings) result << "\n" << finding.object << finding.text;
    return result;
  }
  std::string manifest_name(std::uint64_t number) const { return manifest_object(id_, number); }
  std::string segment_name_of(std::uint64_t number) const { return segment_object(id_, number); }

  Uuid id_;
};

TEST_F(VerifyArchiveTest, AWholeArchiveHasNoProblemWithAndWithoutItsJournal) {
  for (const bool with_journal : {true, false}) {
    const auto report = verify(with_journal);
    EXPECT_EQ(report.problems, 0U) << report.findings.front().text;
    EXPECT_EQ(report.segments, 5U);
    EXPECT_EQ(report.first_sequence, 1U);
    EXPECT_EQ(report.records, report.next_sequence - 1);
  }
}

TEST_F(VerifyArchiveTest, AByteThatChangedInAnyObjectIsFoundAndNamed) {
  for (const std::uint64_t number : {1, 3, 5}) {
    for (const std::string& name : {manifest_name(number), segment_name_of(number)}) {
      const auto path = object(name);
      const std::string whole = journal::read_file(path);
      for (std::size_t at = 0; at < whole.size(); at += whole.size() / 7) {
        flip_bit(path, at);
        const auto report = verify();
        EXPECT_GT(report.problems, 0U) << name << " byte " << at;
        EXPECT_TRUE(names(report, name)) << "byte " << at;
        EXPECT_EQ(report.segments, 4U);
        journal::write_file(path, whole);
      }
    }
  }
  EXPECT_EQ(verify().problems, 0U);
}

TEST_F(VerifyArchiveTest, AMissingObjectIsNamedAlsoTheFirstAndTheLastDeletedOne) {
  for (const std::uint64_t number : {1, 2, 3}) {
    for (const std::string& name : {manifest_name(number), segment_name_of(number)}) {
      const std::string whole = journal::read_file(object(name));
      std::filesystem::remove(object(name));
      EXPECT_TRUE(names(verify(), name));
      journal::write_file(object(name), whole);
    }
  }
  std::filesystem::remove(object(manifest_name(3)));
  std::filesystem::remove(object(segment_name_of(3)));
  std::filesystem::remove(object(manifest_name(4)));
  std::filesystem::remove(object(segment_name_of(4)));
  std::filesystem::remove(object(manifest_name(5)));
  std::filesystem::remove(object(segment_name_of(5)));
  const auto report = verify();
  EXPECT_EQ(report.problems, 1U) << "4 and 5 are still in the journal";
  EXPECT_TRUE(names(report, manifest_name(3)));
}

TEST_F(VerifyArchiveTest, WithoutItsBeginningOrItsKeyAnArchiveProvesNothing) {
  const std::string begin = journal::read_file(object(begin_object(id_)));
  std::filesystem::remove(object(begin_object(id_)));
  EXPECT_TRUE(names(verify(), begin_object(id_)));
  journal::write_file(object(begin_object(id_)), begin);
  std::filesystem::remove_all(object("keys"));
  EXPECT_TRUE(names(verify(), "keys/"));
}

TEST_F(VerifyArchiveTest, ASegmentOfAnotherPlaceUnderThisNameIsFound) {
  std::filesystem::copy_file(object(segment_name_of(1)), object(segment_name_of(2)),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(names(verify(), segment_name_of(2)));
  std::filesystem::copy_file(object(manifest_name(1)), object(manifest_name(2)),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(names(verify(), manifest_name(2)));
}

TEST_F(VerifyArchiveTest, AnotherKeyThanTheOneThatIsTrustedIsAProblem) {
  journal::TemporaryDirectory other;
  const auto stranger = journal::SigningKey::ensure(journal::posix_files(), other.path());
  ASSERT_TRUE(stranger);
  const auto report = verify_archive(Archive(store_, id_), {.key = &stranger->verifying()});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->problems, 5U);
  const auto own = journal::VerifyingKey::load(journal::posix_files(), options().directory);
  ASSERT_TRUE(own);
  EXPECT_EQ(verify_archive(Archive(store_, id_), {.key = &*own})->problems, 0U);
}

TEST_F(VerifyArchiveTest, AnEmptyArchiveOfAJournalThatDeletedSegmentsLacksThem) {
  std::filesystem::remove_all(root());
  const auto report = verify();
  EXPECT_EQ(report.problems, 3U);
  EXPECT_TRUE(names(report, manifest_name(1)));
}

}  // namespace
}  // namespace trialwire::archive
