// SPDX-License-Identifier: Apache-2.0
#include "journal/segment_store.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <thread>

#include "journal/seal.hpp"
#include "support/faulty_files.hpp"
#include "support/journal_fixture.hpp"

namespace trialwire::journal {
namespace {

class SegmentStoreTest : public JournalFixture {};

std::vector<std::uint64_t> sequence_range(std::uint64_t from, std::uint64_t to) {
  std::vector<std::uint64_t> range(to - from);
  std::iota(range.begin(), range.end(), from);
  return range;
}

TEST_F(SegmentStoreTest, what_was_appended_is_read_back_in_order_over_several_segments) {
  auto store = open();
  ASSERT_TRUE(store) << store.error().text;
  for (std::uint32_t i = 0; i < 30; ++i) ASSERT_TRUE(append(**store, 1 + i % 7, 700));
  const std::uint64_t next = (*store)->chain().next_sequence;
  EXPECT_GT((*store)->tail().segment, 2U);
  EXPECT_EQ(read_all(**store), sequence_range(1, next));
  EXPECT_EQ(read_all(**store, next - 3), sequence_range(next - 3, next));
}

TEST_F(SegmentStoreTest, a_lone_small_record_takes_one_block) {
  auto store = open();
  ASSERT_TRUE(store);
  const auto appended = append(**store, 1, 400);
  ASSERT_TRUE(appended);
  EXPECT_EQ(appended->bytes, block_bytes);
  EXPECT_EQ(appended->first_sequence, 1U);
}

TEST_F(SegmentStoreTest, an_empty_batch_takes_no_sequence_and_is_not_read) {
  auto store = open();
  ASSERT_TRUE(store);
  ASSERT_TRUE(append(**store, 2));
  ASSERT_TRUE(append(**store, 0));
  ASSERT_TRUE(append(**store, 1));
  EXPECT_EQ(read_all(**store), sequence_range(1, 4));
}

TEST_F(SegmentStoreTest, a_restart_goes_on_with_the_sequence_in_a_new_epoch) {
  {
    auto store = open();
    ASSERT_TRUE(store);
    EXPECT_EQ((*store)->chain().epoch, 1U);
    ASSERT_TRUE(append(**store, 5));
  }
  auto store = open();
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ((*store)->chain().epoch, 2U);
  EXPECT_EQ((*store)->chain().next_sequence, 6U);
  ASSERT_TRUE(append(**store, 5));
  EXPECT_EQ(read_all(**store), sequence_range(1, 11));
}

TEST_F(SegmentStoreTest, a_budget_that_does_not_hold_three_of_the_segments_it_has_is_refused) {
  telemetry::Registry metrics;
  StoreOptions larger = options();
  larger.segment_bytes *= 4;
  larger.bytes_max = larger.segment_bytes * 3;
  ASSERT_TRUE(SegmentStore::open(larger, posix_files(), metrics));
  StoreOptions smaller = options();
  smaller.bytes_max = larger.bytes_max - 1;
  const auto store = SegmentStore::open(smaller, posix_files(), metrics);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(store.error().text.contains("journal.max_bytes")) << store.error().text;
  EXPECT_TRUE(store.error().text.contains("was made with")) << store.error().text;
}

TEST_F(SegmentStoreTest, a_reader_at_the_tail_sees_what_is_appended_later_also_in_a_new_segment) {
  auto store = open();
  ASSERT_TRUE(store);
  auto reader = (*store)->read(1);
  ASSERT_TRUE(reader);
  EXPECT_EQ((*reader)->next().value(), nullptr);
  for (std::uint64_t i = 1; i < 60; ++i) {
    ASSERT_TRUE(append(**store, 1));
    const auto batch = (*reader)->next();
    ASSERT_TRUE(batch) << batch.error().text;
    ASSERT_NE(*batch, nullptr);
    EXPECT_EQ((*batch)->head.first_sequence, i);
    EXPECT_EQ((*reader)->next().value(), nullptr);
  }
}

TEST_F(SegmentStoreTest, a_full_segment_is_sealed_with_a_signature_that_verifies) {
  fill(3);
  const auto key = VerifyingKey::load(posix_files(), options().directory);
  ASSERT_TRUE(key);
  const auto seal = read_seal(posix_files(), options().directory, 1, *key);
  ASSERT_TRUE(seal) << seal.error().text;
  EXPECT_EQ(seal->segment.records, 16U);
  EXPECT_EQ(seal->segment.next_sequence, 17U);
  std::string text = read_file(in_journal(seal_name(1)));
  text.replace(text.find("records 16"), 10, "records 17");
  EXPECT_FALSE(parse_seal(text, *key));
}

TEST_F(SegmentStoreTest, a_second_opening_of_the_directory_is_refused) {
  auto store = open();
  ASSERT_TRUE(store);
  const auto before = contents(options().directory);
  const auto second = open();
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
  EXPECT_NE(second.error().text.find("in use"), std::string::npos);
  EXPECT_EQ(contents(options().directory), before);
}

TEST_F(SegmentStoreTest, keys_and_segments_are_readable_by_their_owner_alone) {
  fill(2);
  for (const auto& entry : std::filesystem::directory_iterator(options().directory)) {
    const auto others = std::filesystem::perms::group_all | std::filesystem::perms::others_all;
    EXPECT_EQ(entry.status().permissions() & others, std::filesystem::perms::none) << entry.path();
  }
}

TEST_F(SegmentStoreTest, a_batch_that_is_larger_than_a_segment_is_refused_and_the_journal_goes_on) {
  auto store = open();
  ASSERT_TRUE(store);
  const auto appended = append(**store, 1, 2 * segment);
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error().code, ErrorCode::payload_too_large);
  EXPECT_TRUE(append(**store, 1));
}

TEST_F(SegmentStoreTest, nothing_is_deleted_that_a_consumer_has_not_made_durable) {
  StoreOptions small = options();
  small.bytes_max = 4 * segment;
  small.retention = std::chrono::nanoseconds(0);
  auto store = open(small);
  ASSERT_TRUE(store);
  Result<Appended> appended;
  do {
    appended = append(**store, 1);
  } while (appended);
  EXPECT_EQ(appended.error().code, ErrorCode::disk_full);
  EXPECT_FALSE((*store)->has_room(1));
  EXPECT_TRUE((*store)->backlog(1).blocked);
  EXPECT_EQ((*store)->first_sequence(), 1U);

  (*store)->set_cursor("sql", 17);
  (*store)->set_cursor("kafka", 40);
  ASSERT_TRUE(append(**store, 1)) << "space that returns heals it";
  EXPECT_TRUE((*store)->has_room(1));
  EXPECT_EQ((*store)->first_sequence(), 17U) << "the slowest consumer counts";
  EXPECT_FALSE(std::filesystem::exists(file(1)));
  EXPECT_TRUE(std::filesystem::exists(in_journal(seal_name(1)))) << "seals stay";
  const auto gone = (*store)->read(1);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, ErrorCode::not_found);
}

TEST_F(SegmentStoreTest, too_much_undelivered_refuses_until_the_low_mark_is_reached) {
  StoreOptions limited = options();
  limited.undelivered = {.high = 40 * block_bytes, .low = 10 * block_bytes};
  auto store = open(limited);
  ASSERT_TRUE(store);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(append(**store, 1));
  (*store)->set_cursor(index_consumer, 0);
  EXPECT_TRUE((*store)->has_room(1)) << "the identities are no delivery";
  (*store)->set_cursor("kafka", 61);
  EXPECT_TRUE((*store)->has_room(1));
  (*store)->set_cursor("sql", 1);
  EXPECT_FALSE((*store)->has_room(1));
  EXPECT_TRUE((*store)->backlog(61).blocked);
  EXPECT_GE((*store)->backlog(1).data_bytes, limited.undelivered.high);
  std::uint64_t at = 1;
  while ((*store)->backlog(at).data_bytes > limited.undelivered.low) {
    EXPECT_FALSE((*store)->has_room(1)) << at;
    (*store)->set_cursor("sql", ++at);
  }
  EXPECT_TRUE((*store)->has_room(1)) << "at the low mark";
  EXPECT_LT(at, 61U);
  // Taken again up to the high mark, not the low one.
  while ((*store)->has_room(1)) ASSERT_TRUE(append(**store, 1));
  EXPECT_GE((*store)->backlog(at).data_bytes, limited.undelivered.high);
}

TEST_F(SegmentStoreTest, bytes_behind_a_consumer_grow_with_the_records_and_end_with_them) {
  auto store = open();
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->backlog(1).data_bytes, 0U);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(append(**store, 1));
  std::uint64_t before = UINT64_MAX;
  for (std::uint64_t at = 1; at <= 61; ++at) {
    const std::uint64_t bytes = (*store)->backlog(at).data_bytes;
    EXPECT_LT(bytes, before) << at;
    before = bytes;
  }
  EXPECT_EQ(before, 0U);
}

TEST_F(SegmentStoreTest, a_consumer_that_is_behind_holds_back_whole_segments_from_its_own_on) {
  auto store = open(options());
  ASSERT_TRUE(store);
  EXPECT_EQ((*store)->backlog(1).bytes, 0U);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(append(**store, 1));
  const std::uint64_t next = (*store)->chain().next_sequence;
  const std::uint64_t segments = (*store)->tail().segment;
  ASSERT_GE(segments, 3U);
  EXPECT_EQ((*store)->backlog(1).bytes, segments * options().segment_bytes);
  EXPECT_EQ((*store)->backlog(next - 1).bytes, options().segment_bytes);
  EXPECT_EQ((*store)->backlog(next).bytes, 0U);
  EXPECT_FALSE((*store)->backlog(1).blocked);
}

TEST_F(SegmentStoreTest, within_budget_and_retention_consumed_segments_stay) {
  StoreOptions roomy = options();
  roomy.retention = std::chrono::hours(24 * 365 * 100);
  auto store = open(roomy);
  ASSERT_TRUE(store);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(append(**store, 1));
  (*store)->set_cursor("sql", (*store)->chain().next_sequence);
  (*store)->maintain();
  EXPECT_EQ((*store)->first_sequence(), 1U);
}

/// Segments that only their retention keeps, and how much a disk of them holds.
class FullDiskTest : public SegmentStoreTest {
 protected:
  Result<std::unique_ptr<SegmentStore>> filled(support::FaultyFiles& disk) {
    StoreOptions kept = options();
    kept.directory = "/journal";
    kept.retention = std::chrono::hours(24 * 365 * 100);
    auto store = SegmentStore::open(kept, disk, metrics_);
    for (int i = 0; store && i < 60; ++i) EXPECT_TRUE(append(**store, 1));
    return store;
  }
  static std::uint64_t used(const support::FaultyFiles& disk) {
    std::uint64_t bytes = 0;
    for (const auto& [path, content] : disk.snapshot()) bytes += content.size();
    return bytes;
  }
  void append_until_refused(SegmentStore& store) {
    Result<Appended> appended;
    do {
      appended = append(store, 1);
    } while (appended);
    EXPECT_EQ(appended.error().code, ErrorCode::disk_full) << appended.error().text;
    EXPECT_FALSE(store.has_room(1));
  }
};

TEST_F(FullDiskTest, a_full_disk_takes_delivered_segments_before_their_time_and_no_others) {
  support::FaultyFiles disk{support::FaultyOptions{}};
  auto store = filled(disk);
  ASSERT_TRUE(store);
  disk.set_capacity(used(disk) + segment / 2);
  append_until_refused(**store);
  EXPECT_EQ((*store)->first_sequence(), 1U) << "nobody has any of it";

  (*store)->set_cursor("sql", 33);
  (*store)->set_cursor("kafka", 64);
  const auto appended = append(**store, 1);
  ASSERT_TRUE(appended) << appended.error().text;
  EXPECT_EQ((*store)->first_sequence(), 17U) << "one segment is enough";
  EXPECT_FALSE(disk.contents("/journal/" + segment_name(1)));
  append_until_refused(**store);
  EXPECT_EQ((*store)->first_sequence(), 33U) << "the slowest consumer counts";
  disk.set_capacity(1ULL << 40U);
  EXPECT_TRUE(append(**store, 1));
  EXPECT_EQ((*store)->first_sequence(), 33U) << "with room retention counts again";
}

TEST_F(FullDiskTest, on_a_disk_without_a_free_block_delivered_segments_go_too) {
  support::FaultyFiles disk{support::FaultyOptions{}};
  auto store = filled(disk);
  ASSERT_TRUE(store);
  (*store)->set_cursor("sql", 33);
  disk.set_capacity(used(disk));
  append_until_refused(**store);
  EXPECT_EQ((*store)->first_sequence(), 33U) << "all that is delivered";
}

TEST_F(FullDiskTest, where_a_deletion_gives_no_room_no_more_go_early) {
  support::FaultyFiles disk{support::FaultyOptions{}};
  auto store = filled(disk);
  ASSERT_TRUE(store);
  (*store)->set_cursor("sql", 49);
  std::uint64_t capacity = used(disk) + segment / 2;
  disk.set_capacity(capacity);
  // A snapshot of the file system keeps what is removed.
  disk.on_remove([&](const std::filesystem::path& file) {
    if (file.extension() == ".tmp" && file.stem() != "retired") return;
    capacity -= disk.contents(file)->size();
    disk.set_capacity(capacity);
  });
  append_until_refused(**store);
  EXPECT_FALSE(append(**store, 1));
  EXPECT_EQ((*store)->first_sequence(), 17U) << "one was tried";
}

TEST_F(SegmentStoreTest, what_is_deleted_while_nothing_is_appended_shows_in_the_metrics) {
  StoreOptions brief = options();
  brief.retention = std::chrono::nanoseconds(0);
  auto store = open(brief);
  ASSERT_TRUE(store);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(append(**store, 1));
  (*store)->set_cursor("sql", (*store)->chain().next_sequence);
  const auto shows = [this](std::string_view name, std::uint64_t value) {
    return metrics_.text().contains(fmt::format("\ntrialwire_journal_{} {}\n", name, value));
  };
  EXPECT_TRUE(shows("first_sequence", 1)) << metrics_.text();
  (*store)->maintain();
  const auto left = (*store)->status();
  ASSERT_GT(left.first_sequence, 1U);
  const auto shows_left = [&] {
    return shows("first_sequence", left.first_sequence) && shows("next_sequence", 61) &&
           shows("segments", left.segments) && shows("disk_bytes", left.bytes_on_disk);
  };
  EXPECT_TRUE(shows_left()) << metrics_.text();
  store->reset();
  EXPECT_TRUE(shows_left()) << "a scrape may outlive the store: " << metrics_.text();
}

TEST_F(SegmentStoreTest, a_journal_whose_old_segments_are_deleted_starts_and_keeps_its_chain) {
  StoreOptions brief = options();
  brief.retention = std::chrono::nanoseconds(0);
  std::uint64_t next = 0;
  {
    auto store = open(brief);
    ASSERT_TRUE(store);
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(append(**store, 1));
    next = (*store)->chain().next_sequence;
    (*store)->set_cursor("sql", next);
    (*store)->maintain();
    EXPECT_GT((*store)->first_sequence(), 1U);
  }
  auto store = open(brief);
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ((*store)->chain().next_sequence, next);
  EXPECT_EQ(read_all(**store, (*store)->first_sequence()),
            sequence_range((*store)->first_sequence(), next));
}

TEST_F(SegmentStoreTest,
       a_cursor_of_another_journal_or_beyond_the_tail_is_refused_with_both_named) {
  auto store = open();
  ASSERT_TRUE(store);
  ASSERT_TRUE(append(**store, 3));
  const Uuid id = (*store)->chain().journal;
  const Uuid other = Uuid::random();
  EXPECT_TRUE((*store)->check_cursor({id, 4}));
  const auto foreign = (*store)->check_cursor({other, 1});
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, ErrorCode::corrupt);
  EXPECT_NE(foreign.error().text.find(other.text()), std::string::npos);
  EXPECT_NE(foreign.error().text.find(id.text()), std::string::npos);
  const auto beyond = (*store)->check_cursor({id, 7});
  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code, ErrorCode::corrupt);
  EXPECT_NE(beyond.error().text.find("sequence 7"), std::string::npos);
  EXPECT_NE(beyond.error().text.find("next sequence is 4"), std::string::npos);
  EXPECT_FALSE((*store)->check_cursor({id, 0}));
}

TEST_F(SegmentStoreTest, the_background_thread_prepares_seals_and_stops) {
  auto store = open();
  ASSERT_TRUE(store);
  std::atomic<int> sealed{0};
  (*store)->start({.sealed = [&](const SealedSegment&) { ++sealed; }});
  for (int i = 0; i < 200; ++i) {
    const auto appended = append(**store, 1);
    ASSERT_TRUE(appended) << appended.error().text;
  }
  (*store)->stop();
  EXPECT_EQ(sealed.load(), 12);
  store->reset();
  EXPECT_TRUE(open());
}

/// Bytes of the segment that is being written with zeros; 0 when none is.
std::uint64_t unfinished_bytes(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::error_code gone;
    if (entry.path().extension() == ".tmp" && entry.path().stem() != retired_name)
      return entry.file_size(gone);
  }
  return 0;
}

TEST_F(SegmentStoreTest, the_next_segment_is_written_as_the_current_one_is_used) {
  constexpr std::uint64_t large = 16 << 20;
  StoreOptions paced = options();
  paced.segment_bytes = large;
  paced.bytes_max = 8 * large;
  auto store = open(paced);
  ASSERT_TRUE(store) << store.error().text;
  ASSERT_TRUE(append(**store, 1));
  (*store)->start({});
  auto wait_for = [&](auto reached) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!reached() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    return reached();
  };
  // The first segment was prepared at the opening; of the second nothing comes for a quarter.
  EXPECT_EQ(unfinished_bytes(paced.directory), 0U);
  for (int i = 0; i < 8; ++i) ASSERT_TRUE(append(**store, 1, 1 << 20));
  EXPECT_TRUE(wait_for([&] { return unfinished_bytes(paced.directory) >= large / 4; }));
  EXPECT_LT(unfinished_bytes(paced.directory), large);
  EXPECT_EQ((*store)->status().segments, 1U);
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(append(**store, 1, 1 << 20));
  EXPECT_TRUE(wait_for([&] { return (*store)->status().segments == 2; }));
  // Whoever is faster than that waits for the whole of it.
  for (int i = 0; i < 60; ++i) {
    const auto appended = append(**store, 1, 1 << 20);
    ASSERT_TRUE(appended) << appended.error().text;
  }
  (*store)->stop();
  EXPECT_EQ(unfinished_bytes(paced.directory), 0U);
}

TEST_F(SegmentStoreTest, buffered_mode_gives_the_same_journal) {
  StoreOptions buffered = options();
  buffered.io = IoMode::buffered;
  {
    auto store = open(buffered);
    ASSERT_TRUE(store);
    EXPECT_FALSE((*store)->status().direct_io);
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(append(**store, 2));
  }
  auto store = open(buffered);
  ASSERT_TRUE(store) << store.error().text;
  EXPECT_EQ(read_all(**store), sequence_range(1, 81));
}

TEST_F(SegmentStoreTest, impossible_sizes_are_refused_by_name) {
  StoreOptions odd = options();
  odd.segment_bytes = 100'000;
  auto store = open(odd);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().text.find("journal.segment_bytes"), std::string::npos);
  StoreOptions tight = options();
  tight.bytes_max = 2 * segment;
  store = open(tight);
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().text.find("journal.max_bytes"), std::string::npos);
}

}  // namespace
}  // namespace trialwire::journal
