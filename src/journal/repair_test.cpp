// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include <numeric>

#include "journal/offline.hpp"
#include "journal/scrubber.hpp"
#include "support/journal_fixture.hpp"

namespace trialwire::journal {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RepairTest : public JournalFixture {
 protected:
  RepairReport repair(const RepairOptions& how) {
    const auto report = journal_repair(options().directory, posix_files(), how);
    EXPECT_TRUE(report) << (report ? "" : report.error().text);
    return report.value_or(RepairReport{});
  }

  /// Refuses before; a dry run changes nothing; after the repair it starts and all but [from, to)
  /// is there; what is appended then survives another restart.
  RepairReport expect_repaired(std::uint64_t next, std::uint64_t from, std::uint64_t to,
                               const AskConsumers& consumers = {}) {
    StoreOptions asking = options();
    asking.consumers = consumers;
    EXPECT_FALSE(open(asking));
    auto before = contents(options().directory);
    const RepairReport dry = repair({.consumers = consumers});
    EXPECT_FALSE(dry.applied);
    EXPECT_THAT(dry.problems, ::testing::Not(IsEmpty()));
    EXPECT_EQ(contents(options().directory), before);
    const RepairReport done = repair({.apply = true, .consumers = consumers});
    EXPECT_TRUE(done.applied);
    EXPECT_EQ(done.lost, dry.lost);
    std::vector<std::uint64_t> expected(next - 1);
    std::iota(expected.begin(), expected.end(), 1);
    std::erase_if(expected, [&](std::uint64_t each) { return each >= from && each < to; });
    {
      auto store = open(asking);
      EXPECT_TRUE(store) << store.error().text;
      if (!store) return done;
      EXPECT_EQ(read_all(**store), expected);
      EXPECT_GE((*store)->chain().next_sequence, next);
      for (int i = 0; i < 40; ++i) {
        expected.push_back((*store)->chain().next_sequence);
        EXPECT_TRUE(append(**store, 1));
      }
    }
    auto store = open();
    EXPECT_TRUE(store) << store.error().text;
    if (!store) return done;
    EXPECT_EQ(read_all(**store), expected);
    const auto verified = [&] {
      store->reset();
      return journal_verify(options().directory, posix_files(), {.threads = 1});
    }();
    EXPECT_TRUE(verified);
    EXPECT_EQ(verified->problems, 0U);
    return done;
  }

  bool quarantined(const std::string& name) const {
    return std::filesystem::exists(in_journal(quarantine_name) / name);
  }
};

TEST_F(RepairTest, a_sound_journal_is_left_alone) {
  fill(3);
  const auto before = contents(options().directory);
  const RepairReport report = repair({.apply = true});
  EXPECT_THAT(report.problems, IsEmpty());
  EXPECT_THAT(report.actions, IsEmpty());
  EXPECT_EQ(contents(options().directory), before);
}

TEST_F(RepairTest, a_flipped_bit_in_the_middle_costs_that_batch_alone) {
  const std::uint64_t next = fill(3);
  flip_bit(file(1), 4 * block_bytes + 250);
  const RepairReport report = expect_repaired(next, 5, 6);
  EXPECT_THAT(report.lost, ElementsAre("sequences 5 to 5"));
  EXPECT_TRUE(quarantined(segment_name(1)));
  EXPECT_TRUE(quarantined(seal_name(1)));
}

TEST_F(RepairTest, identities_of_lost_records_are_forgotten_so_that_a_retry_is_stored) {
  const std::uint64_t next = fill(3);
  const std::string run = "dedupe-0000000000000001-0000000000000009.run";
  std::ofstream(in_journal(run)) << "identities";
  flip_bit(file(1), 4 * block_bytes + 250);
  expect_repaired(next, 5, 6);
  EXPECT_TRUE(quarantined(run));
  EXPECT_FALSE(std::filesystem::exists(in_journal(run)));
}

TEST_F(RepairTest, a_damaged_head_in_the_middle_costs_that_batch_alone) {
  const std::uint64_t next = fill(3);
  flip_bit(file(2), 3 * block_bytes + 20);
  expect_repaired(next, 20, 21);
}

TEST_F(RepairTest, two_places_in_one_segment_cost_two_batches) {
  const std::uint64_t next = fill(3);
  flip_bit(file(1), 4 * block_bytes + 250);
  flip_bit(file(1), 5 * block_bytes + 20);
  flip_bit(file(1), 15 * block_bytes + 20);
  const RepairReport report = repair({.apply = true});
  EXPECT_THAT(report.lost, ElementsAre("sequences 5 to 6", "sequences 16 to 16"));
  auto store = open();
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ(read_all(**store).size(), next - 1 - 3);
}

TEST_F(RepairTest, the_last_batch_of_a_segment_and_the_first_of_the_next) {
  const std::uint64_t next = fill(3);
  flip_bit(file(1), 15 * block_bytes + 20);
  flip_bit(file(2), 20);
  expect_repaired(next, 16, 18);
}

TEST_F(RepairTest, a_flipped_bit_in_the_last_batch_does_not_give_its_sequences_away_again) {
  std::uint64_t next = 0;
  {
    auto store = open();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(append(**store, 2));
    next = (*store)->chain().next_sequence;
  }
  flip_bit(file(1), 4 * block_bytes + 250);
  const RepairReport report = expect_repaired(next, 9, 11);
  EXPECT_THAT(report.lost, ElementsAre("sequences 9 to 10"));
}

TEST_F(RepairTest, a_destroyed_last_head_leaves_room_for_all_that_it_may_have_held) {
  {
    auto store = open();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(append(**store, 2));
  }
  flip_bit(file(1), 4 * block_bytes + 20);
  const RepairReport report = expect_repaired(11, 9, 11);
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_THAT(report.lost[0], HasSubstr("at most"));
}

TEST_F(RepairTest, a_missing_middle_segment_costs_its_records) {
  const std::uint64_t next = fill(4);
  std::filesystem::remove(file(2));
  const RepairReport report = expect_repaired(next, 17, 33);
  EXPECT_THAT(report.lost, ElementsAre("sequences 17 to 32"));
}

TEST_F(RepairTest, a_missing_first_segment_costs_its_records) {
  const std::uint64_t next = fill(3);
  std::filesystem::remove(file(1));
  const RepairReport report = repair({.apply = true});
  EXPECT_THAT(report.lost, ElementsAre("sequences 1 to 16"));
  auto store = open();
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ((*store)->first_sequence(), 17U);
  EXPECT_EQ((*store)->chain().next_sequence, next);
}

TEST_F(RepairTest, a_missing_newest_segment_costs_at_most_what_it_could_hold) {
  const std::uint64_t next = fill(3);
  for (std::uint64_t number = 2; number <= 4; ++number) std::filesystem::remove(file(number));
  const RepairReport report = expect_repaired(17, 17, 17);
  // The seal of the second says where it ended, and that there was a third.
  EXPECT_THAT(report.lost, ElementsAre(::testing::AllOf(HasSubstr("at most"),
                                                        HasSubstr("those to 32 were there"))));
  EXPECT_GT(open().value()->chain().next_sequence, next);
}

TEST_F(RepairTest, a_newest_segment_cut_at_a_batchs_end_may_have_held_more_and_that_is_said) {
  std::uint64_t next = 0;
  {
    auto store = open();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(append(**store, 2));
    next = (*store)->chain().next_sequence;
  }
  std::filesystem::resize_file(file(1), 3 * block_bytes);
  const RepairReport report = expect_repaired(next, 7, next);
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_THAT(report.lost[0], ::testing::StartsWith("sequences 7 to "));
  EXPECT_THAT(report.lost[0], HasSubstr("at most"));
}

TEST_F(RepairTest, a_newest_segment_emptied_is_not_taken_for_one_that_was_never_used) {
  const std::uint64_t next = fill(3);
  std::filesystem::resize_file(file(3), 0);
  const RepairReport report = expect_repaired(next, 33, next);
  ASSERT_EQ(report.lost.size(), 1U);
  EXPECT_THAT(report.lost[0], ::testing::StartsWith("sequences 33 to "));
  EXPECT_THAT(report.lost[0], HasSubstr("at most"));
}

TEST_F(RepairTest, a_consumers_cursor_says_how_much_was_there_for_certain) {
  const std::uint64_t next = fill(3);
  std::filesystem::resize_file(file(3), 0);
  const AskConsumers read = [&](const Uuid&) { return Consumers{.cursors = {{"sql/0", next}}}; };
  const RepairReport report = expect_repaired(next, 33, next, read);
  EXPECT_THAT(report.lost, ElementsAre(HasSubstr("those to 33 were there")));
}

TEST_F(RepairTest, the_end_of_a_sealed_segment_wiped_out_is_known_by_its_seal) {
  const std::uint64_t next = fill(3);
  overwrite(file(2), 10 * block_bytes, std::string(segment - 10 * block_bytes, '\0'));
  for (std::uint64_t number = 3; number <= 4; ++number) {
    overwrite(file(number), 0, std::string(segment, '\0'));
  }
  const RepairReport report = expect_repaired(next - 1, 27, 33);
  EXPECT_THAT(report.lost, ElementsAre("sequences 27 to 32"));
}

TEST_F(RepairTest, a_journal_that_ends_before_a_cursor_goes_on_behind_it_without_being_told) {
  fill(1);
  const AskConsumers read = [](const Uuid&) { return Consumers{.cursors = {{"sql/0", 500}}}; };
  const RepairReport report = expect_repaired(2, 2, 500, read);
  EXPECT_THAT(report.problems, ElementsAre(HasSubstr(file(1).native() + ": offset 4096")));
  EXPECT_THAT(report.lost, ElementsAre("sequences 2 to 499"));
  EXPECT_EQ(open().value()->chain().next_sequence, 540U);
}

TEST_F(RepairTest, what_nothing_tells_of_the_journals_end_is_said) {
  fill(3);
  const AskConsumers gone = [](const Uuid&) {
    return Consumers{.absent = {"database /data/trialwire.db: is not there"}};
  };
  const auto info = journal_info(options().directory, posix_files(), gone);
  ASSERT_TRUE(info);
  EXPECT_THAT(info->unknown, ElementsAre(HasSubstr("followed sequence 33")));
  for (std::uint64_t number = 3; number <= 4; ++number) {
    overwrite(file(number), 0, std::string(segment, '\0'));
  }
  const auto verified = journal_verify(options().directory, posix_files(), {.consumers = gone});
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->problems, 0U) << "an emptied segment looks like a spare one";
  EXPECT_THAT(verified->unknown,
              ElementsAre(HasSubstr("followed sequence 32"), HasSubstr(segment_name(2))));
  const RepairReport report = repair({.consumers = gone});
  EXPECT_EQ(report.unknown, verified->unknown);
  const AskConsumers known = [](const Uuid&) { return Consumers{.cursors = {{"sql/0", 33}}}; };
  EXPECT_THAT(repair({.consumers = known}).unknown, IsEmpty());
}

TEST_F(RepairTest, verify_and_repair_read_all_whatever_consumers_have) {
  const std::uint64_t next = fill(8);
  const AskConsumers all = [&](const Uuid&) {
    return Consumers{.durable_below = next, .cursors = {{"sql/0", next}}};
  };
  auto verified = journal_verify(options().directory, posix_files(), {.consumers = all});
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->problems, 0U);
  flip_bit(file(2), 3 * block_bytes + 250);
  verified = journal_verify(options().directory, posix_files(), {.consumers = all});
  EXPECT_EQ(verified->problems, 1U);
  EXPECT_THAT(repair({.consumers = all}).lost, ElementsAre("sequences 20 to 20"));
}

TEST_F(RepairTest, verify_names_the_gaps_that_repairs_left) {
  fill(3);
  flip_bit(file(1), 4 * block_bytes + 250);
  ASSERT_TRUE(repair({.apply = true}).applied);
  const auto verified = journal_verify(options().directory, posix_files());
  ASSERT_TRUE(verified);
  EXPECT_EQ(verified->problems, 0U);
  ASSERT_EQ(verified->gaps.size(), 1U);
  EXPECT_EQ(verified->gaps[0].lost_from, 5U);
  EXPECT_EQ(verified->gaps[0].resume_sequence, 6U);
}

TEST_F(RepairTest, what_is_no_regular_file_goes_to_quarantine) {
  const std::uint64_t next = fill(3);
  std::filesystem::remove(file(2));
  ASSERT_EQ(::mkfifo(file(2).c_str(), 0600), 0);
  const RepairReport report = expect_repaired(next, 17, 33);
  EXPECT_THAT(report.lost, ElementsAre("sequences 17 to 32"));
  EXPECT_TRUE(std::filesystem::is_fifo(in_journal(quarantine_name) / segment_name(2)));
}

TEST_F(RepairTest, a_truncated_segment_keeps_what_is_before_the_cut) {
  const std::uint64_t next = fill(3);
  std::filesystem::resize_file(file(2), 5 * block_bytes + 100);
  expect_repaired(next, 22, 33);
}

TEST_F(RepairTest, another_file_under_a_segments_name_goes_to_quarantine) {
  const std::uint64_t next = fill(3);
  const std::string strange(1000, 'x');
  write_file(file(0x77), strange);
  expect_repaired(next, 0, 0);
  EXPECT_EQ(read_file(in_journal(quarantine_name) / segment_name(0x77)), strange);
}

TEST_F(RepairTest, a_name_far_beyond_the_journal_is_not_taken_for_a_million_losses) {
  fill(2);
  const std::string batch = read_file(file(1));
  write_file(file(0xffff'ffff'ffff'ffff), batch);
  const auto report = journal_repair(options().directory, posix_files(), {.apply = true});
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().text, HasSubstr("misnamed"));
}

TEST_F(RepairTest, a_forged_batch_is_taken_out) {
  const std::uint64_t next = fill(2);
  const auto info = journal_info(options().directory, posix_files());
  BatchBuffer forged;
  forged.begin(0, 0);
  const std::uint64_t at = info->segments.back().end_offset;
  forged.finish(
      {.journal = info->meta.id, .epoch = 1, .first_sequence = 3, .segment = 2, .offset = at});
  overwrite(file(2), at, std::string(as_text(forged.bytes())));
  expect_repaired(next, 0, 0);
}

TEST_F(RepairTest, damaged_metadata_is_written_anew) {
  const std::uint64_t next = fill(3);
  const std::string id = journal_info(options().directory, posix_files())->meta.id.text();
  for (const std::string_view name : {meta_name, identity_key_name, signing_key_name}) {
    write_file(in_journal(name), "damaged");
  }
  write_file(in_journal(retired_name), "damaged");
  expect_repaired(next, 0, 0);
  EXPECT_EQ(journal_info(options().directory, posix_files())->meta.id.text(), id);
}

TEST_F(RepairTest, a_wrong_seal_is_signed_anew) {
  const std::uint64_t next = fill(3);
  write_file(in_journal(seal_name(1)), "damaged");
  expect_repaired(next, 0, 0);
  EXPECT_TRUE(quarantined(seal_name(1)));
}

TEST_F(RepairTest, a_restored_directory_goes_on_behind_what_consumers_have_read) {
  for (const std::uint64_t segments : {1, 3}) {
    std::filesystem::remove_all(options().directory);
    fill(segments);
    EXPECT_TRUE(repair({.apply = true, .resume_at = 1000}).applied);
    auto store = open();
    ASSERT_TRUE(store) << store.error().text;
    EXPECT_EQ((*store)->chain().next_sequence, 1000U);
    const std::size_t old = read_all(**store).size();
    ASSERT_TRUE(append(**store, 3));
    EXPECT_EQ(read_all(**store).size(), old + 3);
    store->reset();
    EXPECT_TRUE(open());
  }
}

TEST_F(RepairTest, a_journal_of_which_nothing_can_be_read_begins_anew) {
  fill(2);
  for (std::uint64_t number = 1; number <= 3; ++number) write_file(file(number), "gone");
  write_file(in_journal(meta_name), "gone");
  const RepairReport report = repair({.apply = true});
  EXPECT_THAT(report.lost, ElementsAre(HasSubstr("everything")));
  auto store = open();
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ((*store)->chain().next_sequence, 1U);
}

TEST_F(RepairTest, repair_and_verify_refuse_a_journal_in_use_and_a_directory_without_one) {
  EXPECT_EQ(journal_verify(directory_.path(), posix_files()).error().code, ErrorCode::not_found);
  EXPECT_EQ(journal_repair(directory_.path(), posix_files(), {}).error().code,
            ErrorCode::not_found);
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
  auto store = open();
  EXPECT_EQ(journal_verify(options().directory, posix_files()).error().code,
            ErrorCode::unavailable);
}

TEST_F(RepairTest, verify_names_every_problem_with_file_and_offset) {
  fill(4);
  flip_bit(file(1), 4 * block_bytes + 250);
  flip_bit(file(3), 2 * block_bytes + 20);
  write_file(in_journal(seal_name(2)), "damaged");
  const auto report = journal_verify(options().directory, posix_files());
  ASSERT_TRUE(report);
  std::vector<std::string> lines;
  for (const Finding& finding : report->findings) {
    if (refuses(finding.what)) lines.push_back(finding.line());
  }
  EXPECT_THAT(lines, ::testing::UnorderedElementsAre(HasSubstr(file(1).native() + ": offset 16384"),
                                                     HasSubstr(file(3).native() + ": offset 8192"),
                                                     HasSubstr(seal_name(2) + ": offset 0")));
}

TEST_F(RepairTest, cat_gives_the_records_of_a_range_and_stops_at_damage) {
  fill(3);
  std::vector<std::uint64_t> seen;
  const auto take = [&](const Uuid&, const Record& record) {
    EXPECT_EQ(as_text(record.bytes), body(record.sequence));
    seen.push_back(record.sequence);
    return true;
  };
  ASSERT_TRUE(journal_cat(options().directory, posix_files(), {15, 18}, take));
  EXPECT_THAT(seen, ElementsAre(15, 16, 17, 18));
  seen.clear();
  flip_bit(file(1), 2 * block_bytes + 250);
  const auto stopped = journal_cat(options().directory, posix_files(), {}, take);
  ASSERT_FALSE(stopped);
  EXPECT_THAT(stopped.error().text, HasSubstr(file(1).native() + ": offset 8192"));
  EXPECT_THAT(seen, ElementsAre(1, 2));
}

TEST_F(RepairTest, cat_refuses_a_range_that_is_deleted_unwritten_or_upside_down) {
  StoreOptions small = options();
  small.bytes_max = 4 * small.segment_bytes;
  small.retention = std::chrono::nanoseconds(0);
  std::uint64_t first = 0, next = 0;
  {
    auto store = open(small);
    ASSERT_TRUE(store);
    while (append(**store, 1)) {
    }
    (*store)->set_cursor("sql", 17);
    ASSERT_TRUE(append(**store, 1));
    first = (*store)->first_sequence();
    next = (*store)->chain().next_sequence;
  }
  ASSERT_GT(first, 1U);
  std::vector<std::uint64_t> seen;
  const auto cat = [&](const CatRange& range) {
    seen.clear();
    const auto read = journal_cat(options().directory, posix_files(), range,
                                  [&](const Uuid&, const Record& record) {
                                    seen.push_back(record.sequence);
                                    return true;
                                  });
    return read ? std::string() : read.error().text;
  };
  EXPECT_EQ(cat({}), "");
  ASSERT_EQ(seen.size(), next - first);
  EXPECT_EQ(seen.front(), first) << "all that is there";
  EXPECT_EQ(cat({.from = first, .to = first}), "");
  EXPECT_THAT(seen, ElementsAre(first));
  for (const CatRange& gone : {CatRange{1, 5}, CatRange{1, next}, CatRange{0, first - 1}}) {
    EXPECT_THAT(cat(gone), HasSubstr("are deleted: the journal holds " + std::to_string(first) +
                                     " to " + std::to_string(next - 1)));
    EXPECT_THAT(seen, IsEmpty());
  }
  EXPECT_THAT(cat({.from = next}), HasSubstr("is not written yet"));
  EXPECT_EQ(cat({.from = 10, .to = 5}), "--to 5 is before --from 10");
}

TEST_F(RepairTest, info_tells_counts_and_why_a_start_would_be_refused) {
  const std::uint64_t next = fill(3);
  auto info = journal_info(options().directory, posix_files());
  ASSERT_TRUE(info);
  EXPECT_EQ(info->records, next - 1);
  EXPECT_EQ(info->segments.size(), 3U);
  EXPECT_EQ(info->spares, 1U);
  EXPECT_EQ(info->refusal, "");
  flip_bit(file(2), 20);
  info = journal_info(options().directory, posix_files());
  EXPECT_THAT(info->refusal, HasSubstr(file(2).native()));
}

TEST_F(RepairTest, the_scrubber_finds_what_a_start_by_headers_does_not) {
  fill(3);
  const auto info = journal_info(options().directory, posix_files());
  const ScrubOptions scrub{.directory = options().directory,
                           .journal = info->meta.id,
                           .segment_bytes = segment,
                           .bytes_per_second = 1 << 30};
  const SealedSegment& first = info->segments.front().counts;
  EXPECT_TRUE(scrub_segment(posix_files(), scrub, {}, first, {}));
  flip_bit(file(1), 250);
  const auto damaged = scrub_segment(posix_files(), scrub, {}, first, {});
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::corrupt);
  EXPECT_THAT(damaged.error().text, HasSubstr(file(1).native() + ": offset 0"));
  flip_bit(file(1), 250);
  SealedSegment other = first;
  other.chain_head[0] ^= 1;
  EXPECT_FALSE(scrub_segment(posix_files(), scrub, {}, other, {}));
}

TEST_F(RepairTest, a_running_store_scrubs_and_reports) {
  StoreOptions scrubbing = options();
  scrubbing.scrub_bytes_per_second = 1 << 30;
  fill(3);
  auto store = open(scrubbing);
  ASSERT_TRUE(store);
  flip_bit(file(2), 3 * block_bytes + 250);
  std::mutex mutex;
  std::condition_variable told;
  std::string text;
  (*store)->start({.corrupt = [&](const Error& error) {
    const std::lock_guard lock(mutex);
    text = error.text;
    told.notify_all();
  }});
  std::unique_lock lock(mutex);
  EXPECT_TRUE(told.wait_for(lock, std::chrono::seconds(30), [&] { return !text.empty(); }));
  EXPECT_THAT(text, HasSubstr(file(2).native() + ": offset 12288"));
  lock.unlock();
  (*store)->stop();
}

}  // namespace
}  // namespace trialwire::journal
