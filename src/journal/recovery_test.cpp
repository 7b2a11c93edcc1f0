// SPDX-License-Identifier: Apache-2.0
// Each row of the recovery table, by damage done to a real journal in a temporary directory.
#include "journal/recovery.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "journal/offline.hpp"
#include "support/journal_fixture.hpp"

namespace trialwire::journal {
namespace {

using ::testing::HasSubstr;

class RecoveryTest : public JournalFixture {
 protected:
  static std::uint64_t hits(RecoveryCase what) {
    return recovery_hits()[static_cast<std::size_t>(what)];
  }

  /// Opening is refused by this row, the text says all of these, and nothing has changed.
  void expect_refused(RecoveryCase what, const std::vector<std::string>& says) {
    const auto before = contents(options().directory);
    const std::uint64_t hits_before = hits(what);
    const auto store = open();
    ASSERT_FALSE(store) << "opened in spite of damage";
    EXPECT_EQ(store.error().code, ErrorCode::corrupt);
    for (const std::string& text : says) EXPECT_THAT(store.error().text, HasSubstr(text));
    EXPECT_THAT(store.error().text, HasSubstr("trialwire journal repair"));
    EXPECT_EQ(contents(options().directory), before);
    EXPECT_GT(hits(what), hits_before) << recovery_row(what).label;
  }

  /// Opening succeeds, this row was met, and these records are there.
  std::unique_ptr<SegmentStore> expect_opens(RecoveryCase what, std::uint64_t next) {
    const std::uint64_t before = hits(what);
    auto store = open();
    EXPECT_TRUE(store) << (store ? "" : store.error().text);
    if (!store) return nullptr;
    EXPECT_GT(hits(what), before) << recovery_row(what).label;
    EXPECT_EQ((*store)->chain().next_sequence, next);
    EXPECT_EQ(read_all(**store).size(), next - (*store)->first_sequence());
    return std::move(*store);
  }

  /// Three batches in segment 1: of 1 block (sequence 1), 3 blocks (2), 1 block (3 to 5).
  void three_batches() {
    auto store = open();
    ASSERT_TRUE(store) << store.error().text;
    ASSERT_TRUE(append(**store, 1));
    ASSERT_TRUE(append(**store, 1, 10'000));
    ASSERT_TRUE(append(**store, 3));
  }
  static constexpr std::uint64_t second = block_bytes, third = 4 * block_bytes;

  void zero(std::uint64_t number, std::uint64_t offset, std::size_t bytes) {
    overwrite(file(number), offset, std::string(bytes, '\0'));
  }
  std::string zeros_from(std::uint64_t offset) { return read_file(file(1)).substr(offset); }
};

TEST_F(RecoveryTest, an_empty_directory_becomes_a_journal) {
  expect_opens(RecoveryCase::empty_directory, 1);
  EXPECT_TRUE(std::filesystem::exists(in_journal(meta_name)));
  EXPECT_TRUE(std::filesystem::exists(in_journal(identity_key_name)));
}

TEST_F(RecoveryTest, a_creation_that_was_interrupted_is_finished_with_the_same_keys) {
  ASSERT_TRUE(open());
  const std::string key = read_file(in_journal(identity_key_name));
  std::filesystem::remove(in_journal(meta_name));
  expect_opens(RecoveryCase::empty_directory, 1);
  EXPECT_EQ(read_file(in_journal(identity_key_name)), key);
}

TEST_F(RecoveryTest, a_new_journal_takes_the_key_of_another_and_keeps_it) {
  StoreOptions first = options();
  first.directory += ".first";
  ASSERT_TRUE(open(first));
  StoreOptions second = options();
  second.identity_key_file = first.directory / identity_key_name;
  ASSERT_TRUE(open(second));
  EXPECT_EQ(read_file(in_journal(identity_key_name)), read_file(second.identity_key_file));
  ASSERT_TRUE(open(second)) << "the same once more";
  ASSERT_TRUE(open()) << "and without the setting";
}

TEST_F(RecoveryTest, a_journal_with_a_key_of_its_own_takes_no_other_and_says_so) {
  StoreOptions first = options();
  first.directory += ".first";
  ASSERT_TRUE(open(first));
  ASSERT_TRUE(open());
  const std::string own = read_file(in_journal(identity_key_name));
  StoreOptions second = options();
  second.identity_key_file = first.directory / identity_key_name;
  const auto refused = open(second);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().text, HasSubstr(second.identity_key_file.native()));
  EXPECT_EQ(read_file(in_journal(identity_key_name)), own);
}

TEST_F(RecoveryTest, a_shared_key_that_is_not_there_or_damaged_is_named) {
  StoreOptions other = options();
  other.identity_key_file = options().directory.native() + ".key";
  auto refused = open(other);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr(other.identity_key_file.native()));
  write_file(other.identity_key_file, std::string(20, 'k'));
  refused = open(other);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text, HasSubstr("checksum"));
  std::filesystem::remove(other.identity_key_file);
  ASSERT_TRUE(open());
}

TEST_F(RecoveryTest, a_creation_that_was_interrupted_replaces_a_damaged_public_key) {
  ASSERT_TRUE(open());
  const std::string pem = read_file(in_journal(signing_public_name));
  std::filesystem::remove(in_journal(meta_name));
  for (const std::string& damaged : {pem.substr(0, 20), std::string(), pem + "x"}) {
    write_file(in_journal(signing_public_name), damaged);
    std::filesystem::remove(in_journal(meta_name));
    ASSERT_TRUE(open());
    EXPECT_EQ(read_file(in_journal(signing_public_name)), pem);
    EXPECT_TRUE(open());
  }
}

TEST_F(RecoveryTest, a_clean_tail_is_gone_on_with) {
  three_batches();
  const auto store = expect_opens(RecoveryCase::clean_tail, 6);
  EXPECT_EQ(store->tail().offset, 5 * block_bytes);
}

TEST_F(RecoveryTest, a_prepared_segment_is_kept_and_used) {
  const std::uint64_t next = fill(2);
  ASSERT_TRUE(std::filesystem::exists(file(3)));
  const auto store = expect_opens(RecoveryCase::spare_segment, next);
  while (store->tail().segment < 3) ASSERT_TRUE(append(*store, 1));
  EXPECT_EQ(read_all(*store).size(), store->chain().next_sequence - 1);
}

TEST_F(RecoveryTest, an_unfinished_file_is_deleted) {
  three_batches();
  write_file(in_journal("segment-0000000000000009.twj.tmp"), "half");
  write_file(in_journal("journal.meta.tmp"), "half");
  expect_opens(RecoveryCase::unfinished_file, 6);
  EXPECT_FALSE(std::filesystem::exists(in_journal("segment-0000000000000009.twj.tmp")));
  EXPECT_FALSE(std::filesystem::exists(in_journal("journal.meta.tmp")));
}

TEST_F(RecoveryTest, a_torn_last_batch_is_cut_off) {
  {
    auto store = open();
    ASSERT_TRUE(store);
    ASSERT_TRUE(append(**store, 1));
    ASSERT_TRUE(append(**store, 4, 3'000));
  }
  zero(1, second + 3 * sector_bytes, sector_bytes);
  zero(1, second + 2 * block_bytes, block_bytes);
  const auto store = expect_opens(RecoveryCase::torn_tail, 2);
  EXPECT_THAT(zeros_from(second), ::testing::Each('\0'));
  ASSERT_TRUE(append(*store, 2)) << "and written over";
  EXPECT_EQ(read_all(*store).size(), 3U);
}

TEST_F(RecoveryTest, a_last_batch_whose_table_is_torn_is_cut_off) {
  StoreOptions large = options();
  large.segment_bytes = 256 * block_bytes;
  large.bytes_max = 16 * large.segment_bytes;
  {
    auto store = open(large);
    ASSERT_TRUE(store);
    ASSERT_TRUE(append(**store, 1));
    ASSERT_TRUE(append(**store, 1, 150 * block_bytes));
  }
  zero(1, second + sector_bytes, sector_bytes);
  auto store = open(large);
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ((*store)->chain().next_sequence, 2U);
}

TEST_F(RecoveryTest, a_first_batch_that_is_torn_leaves_its_segment_as_the_tail) {
  const std::uint64_t next = fill(2, 900);
  zero(2, sector_bytes, block_bytes - sector_bytes);
  const auto store = expect_opens(RecoveryCase::torn_tail, next - 1);
  ASSERT_TRUE(append(*store, 1));
  EXPECT_EQ(read_all(*store).size(), next - 1);
}

TEST_F(RecoveryTest, data_behind_a_zero_first_sector_is_cut_off_at_the_tail) {
  three_batches();
  zero(1, third, sector_bytes);
  expect_opens(RecoveryCase::torn_header, 3);
  EXPECT_THAT(zeros_from(third), ::testing::Each('\0'));
}

TEST_F(RecoveryTest, data_without_a_header_beyond_the_largest_batch_is_refused) {
  three_batches();
  zero(1, third, sector_bytes);
  overwrite(file(1), 14 * block_bytes, "x");
  StoreOptions strict = options();
  strict.batch_extent_max = 8 * block_bytes;
  const auto store = open(strict);
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().text, HasSubstr("data without a header"));
  EXPECT_GT(hits(RecoveryCase::data_without_header), 0U);
}

TEST_F(RecoveryTest, a_bit_flipped_in_the_last_batch_is_refused) {
  three_batches();
  flip_bit(file(1), third + 250);
  expect_refused(RecoveryCase::block_damaged,
                 {file(1).native(), "offset 16384", "sequences 3 to 5"});
}

TEST_F(RecoveryTest, a_bit_flipped_in_an_empty_batch_is_refused_as_such) {
  {
    auto store = open();
    ASSERT_TRUE(store) << store.error().text;
    ASSERT_TRUE(append(**store, 2));
    ASSERT_TRUE(append(**store, 0));
  }
  flip_bit(file(1), block_bytes + 3000);
  expect_refused(RecoveryCase::block_damaged, {file(1).native(), "offset 4096",
                                               "of the empty batch before sequence 3 does not"});
}

TEST_F(RecoveryTest, a_bit_flipped_in_the_padding_is_refused_though_it_has_zero_sectors) {
  three_batches();
  flip_bit(file(1), third + block_bytes - 1);
  expect_refused(RecoveryCase::block_damaged, {file(1).native(), "offset 16384"});
}

TEST_F(RecoveryTest, one_torn_and_one_flipped_block_are_refused) {
  {
    auto store = open();
    ASSERT_TRUE(store);
    ASSERT_TRUE(append(**store, 1, 3 * block_bytes));
  }
  zero(1, block_bytes, sector_bytes);
  flip_bit(file(1), 2 * block_bytes + 5);
  expect_refused(RecoveryCase::block_damaged, {file(1).native(), "offset 8192"});
}

TEST_F(RecoveryTest, a_torn_batch_with_a_valid_one_behind_it_is_refused) {
  three_batches();
  zero(1, second + block_bytes, sector_bytes);
  expect_refused(RecoveryCase::torn_but_followed, {file(1).native(), "offset 8192"});
}

TEST_F(RecoveryTest, a_torn_batch_at_the_end_of_a_segment_that_another_follows_is_refused) {
  fill(2, 900);
  zero(1, 15 * block_bytes + sector_bytes, sector_bytes);
  expect_refused(RecoveryCase::torn_but_followed, {file(1).native(), "offset 61440"});
}

TEST_F(RecoveryTest, a_zeroed_batch_with_a_valid_one_behind_it_is_refused) {
  three_batches();
  zero(1, second, 3 * block_bytes);
  expect_refused(RecoveryCase::torn_but_followed, {file(1).native(), "offset 4096"});
}

TEST_F(RecoveryTest, a_damaged_head_is_refused) {
  three_batches();
  flip_bit(file(1), third + 40);
  expect_refused(RecoveryCase::header_damaged, {file(1).native(), "offset 16384"});
}

TEST_F(RecoveryTest, a_cut_short_head_is_refused) {
  three_batches();
  zero(1, third + 64, 128);
  expect_refused(RecoveryCase::header_damaged, {file(1).native(), "offset 16384"});
}

TEST_F(RecoveryTest, garbage_where_a_batch_should_begin_is_refused) {
  three_batches();
  overwrite(file(1), 5 * block_bytes, "garbage");
  expect_refused(RecoveryCase::header_damaged, {file(1).native(), "offset 20480"});
}

TEST_F(RecoveryTest, another_file_under_a_segments_name_is_refused) {
  three_batches();
  write_file(file(1), std::string(segment, 'x'));
  expect_refused(RecoveryCase::foreign_file, {file(1).native(), "offset 0"});
}

TEST_F(RecoveryTest, a_segment_of_another_journal_is_refused_with_both_named) {
  three_batches();
  const std::string other = read_file(file(1));
  const std::string id = journal_info(options().directory, posix_files())->meta.id.text();
  std::filesystem::remove_all(options().directory);
  three_batches();
  write_file(file(1), other);
  expect_refused(RecoveryCase::foreign_journal, {file(1).native(), "offset 0", id});
}

TEST_F(RecoveryTest, a_header_of_a_later_format_version_is_refused) {
  three_batches();
  std::string head = read_file(file(1)).substr(third, head_bytes);
  head[8] = 2;
  store_le(head.data() + 188, crc32c(as_bytes(head).first(188)));
  overwrite(file(1), third, head);
  expect_refused(RecoveryCase::unsupported_version, {file(1).native(), "offset 16384"});
}

TEST_F(RecoveryTest, a_batch_that_was_moved_is_refused) {
  three_batches();
  overwrite(file(1), 5 * block_bytes, read_file(file(1)).substr(0, block_bytes));
  expect_refused(RecoveryCase::misplaced_batch, {file(1).native(), "offset 20480"});
}

/// A well-formed batch at `offset`, as a forger without the chain would write it.
void forge(const std::filesystem::path& file, const BatchPlace& place) {
  BatchBuffer batch;
  batch.begin(0, 0);
  batch.finish(place);
  overwrite(file, place.offset, std::string(as_text(batch.bytes())));
}

TEST_F(RecoveryTest, a_batch_that_does_not_carry_the_hash_before_it_is_refused) {
  three_batches();
  const Uuid id = journal_info(options().directory, posix_files())->meta.id;
  forge(file(1),
        {.journal = id, .epoch = 1, .first_sequence = 6, .segment = 1, .offset = 5 * block_bytes});
  expect_refused(RecoveryCase::chain_broken, {file(1).native(), "offset 20480"});
}

TEST_F(RecoveryTest, a_batch_with_a_wrong_sequence_or_an_older_epoch_is_refused) {
  three_batches();
  const auto info = journal_info(options().directory, posix_files());
  BatchPlace place{.journal = info->meta.id,
                   .epoch = 1,
                   .first_sequence = 9,
                   .previous = info->segments.back().counts.chain_head,
                   .segment = 1,
                   .offset = 5 * block_bytes};
  forge(file(1), place);
  expect_refused(RecoveryCase::sequence_gap, {file(1).native(), "sequence 9"});
  place.first_sequence = 6;
  place.epoch = 0;
  forge(file(1), place);
  expect_refused(RecoveryCase::sequence_gap, {file(1).native(), "epoch 0"});
}

TEST_F(RecoveryTest, a_missing_middle_segment_is_refused) {
  fill(4);
  std::filesystem::remove(file(2));
  expect_refused(RecoveryCase::segment_missing, {file(2).native(), "missing"});
}

TEST_F(RecoveryTest, a_missing_first_segment_is_refused) {
  fill(3);
  std::filesystem::remove(file(1));
  expect_refused(RecoveryCase::segment_missing, {file(1).native()});
}

TEST_F(RecoveryTest, a_missing_newest_segment_is_refused_when_its_seal_is_there) {
  fill(3);
  std::filesystem::remove(file(2));
  std::filesystem::remove(file(3));
  std::filesystem::remove(file(4));
  expect_refused(RecoveryCase::segment_missing, {file(2).native()});
}

TEST_F(RecoveryTest, a_truncated_segment_is_refused) {
  three_batches();
  std::filesystem::resize_file(file(1), segment - 100);
  expect_refused(RecoveryCase::segment_size, {file(1).native(), "65436 bytes"});
}

TEST_F(RecoveryTest, a_segment_that_grew_is_refused) {
  three_batches();
  std::filesystem::resize_file(file(1), segment + block_bytes);
  expect_refused(RecoveryCase::segment_size, {file(1).native()});
}

TEST_F(RecoveryTest, an_unknown_file_is_left_alone) {
  three_batches();
  write_file(in_journal("notes.txt"), "mine");
  expect_opens(RecoveryCase::unknown_file, 6);
  EXPECT_EQ(read_file(in_journal("notes.txt")), "mine");
}

TEST_F(RecoveryTest, a_missing_seal_is_written_anew) {
  const std::uint64_t next = fill(3);
  const std::string seal = read_file(in_journal(seal_name(1)));
  std::filesystem::remove(in_journal(seal_name(1)));
  expect_opens(RecoveryCase::seal_missing, next);
  const std::string again = read_file(in_journal(seal_name(1)));
  EXPECT_EQ(again.substr(0, again.find("sealed ")), seal.substr(0, seal.find("sealed ")));
}

TEST_F(RecoveryTest, a_changed_seal_is_refused) {
  fill(3);
  std::string seal = read_file(in_journal(seal_name(1)));
  seal.replace(seal.find("records 16"), 10, "records 17");
  write_file(in_journal(seal_name(1)), seal);
  expect_refused(RecoveryCase::seal_wrong, {seal_name(1), "signature does not match"});
}

TEST_F(RecoveryTest, a_seal_that_is_signed_but_not_of_this_segment_is_refused) {
  fill(3);
  const auto key = SigningKey::load(posix_files(), options().directory);
  const auto right = read_seal(posix_files(), options().directory, 1, key->verifying());
  Seal wrong = *right;
  wrong.segment.payload_bytes += 8;
  ASSERT_TRUE(write_seal(posix_files(), options().directory, wrong, *key));
  expect_refused(RecoveryCase::seal_wrong, {seal_name(1), "does not match its segment"});
}

TEST_F(RecoveryTest, in_buffered_mode_the_last_batch_is_written_again) {
  three_batches();
  StoreOptions buffered = options();
  buffered.io = IoMode::buffered;
  const std::uint64_t before = hits(RecoveryCase::buffered_tail);
  const auto store = open(buffered);
  ASSERT_TRUE(store);
  EXPECT_EQ(hits(RecoveryCase::buffered_tail), before + 1);
  EXPECT_EQ(read_all(**store).size(), 5U);
}

TEST_F(RecoveryTest, an_interrupted_deletion_is_finished) {
  const std::uint64_t next = fill(3);
  const auto info = journal_info(options().directory, posix_files());
  const SealedSegment& first = info->segments.front().counts;
  ASSERT_TRUE(write_retired(posix_files(), options().directory,
                            {1, first.next_sequence, first.chain_head}));
  auto store = open();
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_FALSE(std::filesystem::exists(file(1)));
  EXPECT_EQ((*store)->first_sequence(), first.next_sequence);
  EXPECT_EQ((*store)->chain().next_sequence, next);
  EXPECT_GT(hits(RecoveryCase::retired_present), 0U);
}

TEST_F(RecoveryTest, a_copied_directory_is_said_once_and_starts) {
  three_batches();
  const auto copy = directory_.path() / "copy";
  std::filesystem::copy(options().directory, copy);
  std::filesystem::remove_all(options().directory);
  std::filesystem::rename(copy, options().directory);
  expect_opens(RecoveryCase::directory_copied, 6);
  const std::uint64_t once = hits(RecoveryCase::directory_copied);
  expect_opens(RecoveryCase::clean_tail, 6);
  EXPECT_EQ(hits(RecoveryCase::directory_copied), once);
}

TEST_F(RecoveryTest, damaged_or_missing_metadata_is_refused) {
  fill(3);
  for (const std::string_view name :
       {meta_name, identity_key_name, signing_key_name, signing_public_name}) {
    const auto path = in_journal(name);
    const std::string original = read_file(path);
    std::filesystem::remove(path);
    expect_refused(RecoveryCase::metadata_damaged, {path.native()});
    write_file(path, "x" + original);
    expect_refused(RecoveryCase::metadata_damaged, {path.native(), "offset"});
    std::filesystem::remove(path);
    write_file(path, original);
  }
  write_file(in_journal(retired_name), "through 1");
  expect_refused(RecoveryCase::metadata_damaged, {in_journal(retired_name).native()});
  std::filesystem::remove(in_journal(retired_name));
  write_file(in_journal(repairs_name), "none");
  expect_refused(RecoveryCase::metadata_damaged, {in_journal(repairs_name).native()});
}

TEST_F(RecoveryTest, consumed_segments_are_checked_by_their_headers_and_the_newest_whole) {
  const std::uint64_t next = fill(8);
  StoreOptions consumed = options();
  std::optional<Uuid> asked_for;
  consumed.consumers = [&](const Uuid& journal) {
    asked_for = journal;
    return Consumers{.durable_below = next};
  };
  flip_bit(file(1), 250);
  EXPECT_TRUE(open(consumed)) << "payload of a consumed segment: the scrubber's and verify's work";
  EXPECT_EQ(asked_for, read_meta(posix_files(), options().directory)->id);
  EXPECT_FALSE(open());
  consumed.consumers = [](const Uuid&) { return Consumers{.durable_below = 1}; };
  EXPECT_FALSE(open(consumed)) << "not consumed";
  consumed.consumers = [next](const Uuid&) { return Consumers{.durable_below = next}; };
  flip_bit(file(1), 250);
  flip_bit(file(2), block_bytes + 60);
  EXPECT_FALSE(open(consumed)) << "headers are always checked";
  flip_bit(file(2), block_bytes + 60);
  flip_bit(file(7), 250);
  EXPECT_FALSE(open(consumed)) << "the last two segments are always checked";
}

TEST_F(RecoveryTest, a_torn_tail_that_a_consumer_has_read_is_refused_untouched) {
  three_batches();
  zero(1, third + sector_bytes, block_bytes - sector_bytes);
  StoreOptions read = options();
  read.consumers = [](const Uuid&) { return Consumers{.cursors = {{"sql/0", 6}}}; };
  const auto before = contents(options().directory);
  const auto refused = open(read);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text,
              HasSubstr(file(1).native() + ": offset " + std::to_string(third)));
  EXPECT_THAT(refused.error().text, HasSubstr("sql/0 has read to sequence 5"));
  zero(1, third, sector_bytes);
  overwrite(file(1), third + sector_bytes, "data");
  EXPECT_FALSE(open(read)) << "torn so that its head is gone";
  zero(1, third, block_bytes);
  const auto gone = open(read);
  ASSERT_FALSE(gone) << "nothing is left of it";
  EXPECT_THAT(gone.error().text, HasSubstr(file(1).native() + ": offset " + std::to_string(third)));
  EXPECT_THAT(gone.error().text, HasSubstr("--resume-at 6"));
  EXPECT_EQ(contents(options().directory).size(), before.size()) << "nothing was kept or made";
  read.consumers = [](const Uuid&) { return Consumers{.cursors = {{"sql/0", 3}}}; };
  EXPECT_TRUE(open(read)) << "the consumer had not read it";
}

TEST_F(RecoveryTest, what_is_cut_off_is_kept_in_quarantine_the_newest_of_it) {
  three_batches();
  zero(1, third + sector_bytes, block_bytes - sector_bytes);
  const std::string torn = read_file(file(1)).substr(third, block_bytes);
  ASSERT_TRUE(open());
  const auto kept = [&](std::string_view name) { return in_journal(quarantine_name) / name; };
  const std::string name = "torn-" + segment_name(1) + "-0000000000004000";
  EXPECT_EQ(read_file(kept(name)), torn);
  const std::string other = std::string(sector_bytes, '\0') + "torn in another way";
  overwrite(file(1), third, other);
  ASSERT_TRUE(open());
  EXPECT_EQ(read_file(kept(name)), torn);
  EXPECT_EQ(read_file(kept(name + ".1")).substr(0, other.size()), other);
  overwrite(file(1), third, other);
  StoreOptions small = options();
  small.batch_extent_max = 2 * block_bytes;
  ASSERT_TRUE(open(small));
  EXPECT_FALSE(std::filesystem::exists(kept(name))) << "no more than the largest batch in all";
  EXPECT_TRUE(std::filesystem::exists(kept(name + ".1")));
}

TEST_F(RecoveryTest, a_new_journal_beside_anothers_records_starts_and_names_both) {
  StoreOptions beside = options();
  std::vector<std::string> asked;
  beside.consumers = [&](const Uuid& journal) {
    asked.push_back(journal.text());
    return Consumers{.others = {{"sqlite", "7f0f8cf5-7d53-4b2e-8f2d-8a9a1c1d6b4e", 42}}};
  };
  for (int start = 0; start < 2; ++start) {
    const std::uint64_t before = hits(RecoveryCase::other_journal);
    ASSERT_TRUE(open(beside));
    EXPECT_EQ(hits(RecoveryCase::other_journal), before + 1);
  }
  const auto verified =
      journal_verify(options().directory, posix_files(), {.consumers = beside.consumers});
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->problems, 0U);
  EXPECT_THAT(verified->findings.front().text, HasSubstr(asked.front()));
  EXPECT_THAT(verified->findings.front().text, HasSubstr("7f0f8cf5-7d53-4b2e-8f2d-8a9a1c1d6b4e"));
}

TEST_F(RecoveryTest, several_threads_find_what_one_finds) {
  const std::uint64_t next = fill(12);
  StoreOptions parallel = options();
  parallel.recovery_threads = 4;
  {
    const auto store = open(parallel);
    ASSERT_TRUE(store) << store.error().text;
    EXPECT_EQ(read_all(**store).size(), next - 1);
  }
  flip_bit(file(5), 3 * block_bytes + 250);
  const auto store = open(parallel);
  ASSERT_FALSE(store);
  EXPECT_THAT(store.error().text, HasSubstr(file(5).native() + ": offset 12288"));
}

TEST_F(RecoveryTest, what_is_no_regular_file_is_refused_and_named_without_waiting) {
  three_batches();
  std::filesystem::remove(file(1));
  const auto expect_named = [&](std::string_view kind) {
    expect_refused(RecoveryCase::foreign_file,
                   {file(1).native() + ": offset 0: it is ", std::string(kind)});
    const auto info = journal_info(options().directory, posix_files());
    ASSERT_TRUE(info);
    EXPECT_THAT(info->refusal, HasSubstr(file(1).native()));
  };
  std::filesystem::create_directory(file(1));
  expect_named("a directory");
  std::filesystem::remove(file(1));
  ASSERT_EQ(::mkfifo(file(1).c_str(), 0600), 0);
  expect_named("a named pipe");
  std::filesystem::remove(file(1));
  std::filesystem::create_symlink("/dev/zero", file(1));
  expect_named("a device");
  std::filesystem::remove(file(1));
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  ASSERT_LT(file(1).native().size(), sizeof(address.sun_path));
  file(1).native().copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ::close(listener);
  expect_named("a socket");
}

TEST_F(RecoveryTest, a_named_pipe_in_place_of_a_small_file_or_the_lock_is_named_without_waiting) {
  three_batches();
  for (const std::string_view name :
       {meta_name, identity_key_name, signing_key_name, signing_public_name}) {
    const std::string original = read_file(in_journal(name));
    std::filesystem::remove(in_journal(name));
    ASSERT_EQ(::mkfifo(in_journal(name).c_str(), 0600), 0);
    expect_refused(RecoveryCase::metadata_damaged, {in_journal(name).native(), "a named pipe"});
    std::filesystem::remove(in_journal(name));
    write_file(in_journal(name), original);
  }
  std::filesystem::remove(in_journal(lock_name));
  ASSERT_EQ(::mkfifo(in_journal(lock_name).c_str(), 0600), 0);
  const auto verified = journal_verify(options().directory, posix_files());
  ASSERT_FALSE(verified);
  EXPECT_THAT(verified.error().text, HasSubstr(in_journal(lock_name).native()));
  EXPECT_FALSE(open());
}

}  // namespace
}  // namespace trialwire::journal
