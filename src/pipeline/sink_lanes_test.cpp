// SPDX-License-Identifier: Apache-2.0
#include "pipeline/sink_lanes.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/journal_fixture.hpp"
#include "support/memory_journal.hpp"
#include "support/memory_store.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::pipeline {
namespace {

using std::chrono::milliseconds;
using support::MemoryStore;
using Body = support::MemoryJournal::Body;
using Sequences = std::vector<std::uint64_t>;

class SinkLanesTest : public testing::Test {
 protected:
  SinkLanesTest() {
    options.lanes = 2;
    options.schedule_file = directory.path() / "cursors" / "memory.lanes";
    options.each.batch_delay = milliseconds(2);
    options.each.delivery_interval = milliseconds(1);
    options.each.cursor_interval = milliseconds(1);
    options.each.backoff = {milliseconds(1), milliseconds(2)};
    options.each.background = false;
    options.each.dead_letters = &store;
    begin_with(2);
  }
  std::unique_ptr<SinkLanes> make() {
    return std::make_unique<SinkLanes>(
        options, journal,
        [this](unsigned lane) { return std::make_unique<support::MemorySink>(store, lane); },
        metrics);
  }
  /// There were so many lanes from the beginning on.
  void begin_with(unsigned lanes) {
    options.lanes = lanes;
    std::filesystem::create_directories(options.schedule_file.parent_path());
    journal::write_file(options.schedule_file, LaneSchedule(lanes).text(journal.end().journal));
  }
  std::unique_ptr<SinkLanes> start() {
    auto made = make();
    auto started = made->start();
    EXPECT_TRUE(started) << started.error().text;
    return made;
  }
  void wait_until_at(SinkLanes& lanes, std::uint64_t sequence) {
    while (lanes.next_sequence() < sequence) std::this_thread::yield();
  }
  /// Records of so many keys, one journal batch each.
  void append(unsigned count, unsigned keys) {
    for (unsigned i = 0; i < count; ++i) journal.append({Body("x", i % keys)});
  }
  std::map<unsigned, Sequences> rows_by_lane() {
    std::map<unsigned, Sequences> rows;
    for (const auto& one : store.transactions) {
      auto& of = rows[one.lane];
      of.insert(of.end(), one.sequences.begin(), one.sequences.end());
    }
    return rows;
  }
  /// The place of a row among all, in the order of the commits.
  std::size_t place(std::uint64_t sequence) {
    Sequences rows = store.rows();
    auto found = std::ranges::find(rows, sequence);
    EXPECT_TRUE(found != rows.end()) << sequence;
    return static_cast<std::size_t>(found - rows.begin());
  }

  journal::TemporaryDirectory directory;
  telemetry::Registry metrics;
  support::MemoryJournal journal;
  MemoryStore store;
  SinkLanesOptions options;
};

TEST_F(SinkLanesTest, each_lane_has_the_records_of_its_keys_in_order) {
  append(100, 10);
  auto lanes = start();
  EXPECT_EQ(lanes->lanes(), 2U);
  wait_until_at(*lanes, 101);
  lanes->stop();
  auto rows = rows_by_lane();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].size(), 50U);
  for (const auto& [lane, sequences] : rows) {
    EXPECT_TRUE(std::ranges::is_sorted(sequences));
    for (std::uint64_t sequence : sequences) EXPECT_EQ((sequence - 1) % 10 % 2, lane);
  }
}

TEST_F(SinkLanesTest, a_lane_without_records_does_not_hold_the_journal_back) {
  append(50, 1);  // all of lane 0
  auto lanes = start();
  wait_until_at(*lanes, 51);
  // In the destination, too: the next start must not have to look at them again.
  store.wait_for([](const MemoryStore& now) {
    auto found = now.cursors.find(1);
    return found != now.cursors.end() && found->second > 1;
  });
  lanes->stop();
  EXPECT_GT(journal.cursors_of("memory/1").back(), 1U);
}

TEST_F(SinkLanesTest, a_submission_of_several_lanes_goes_whole_to_the_lane_of_its_first_record) {
  append(20, 2);
  journal.append({Body("s0", 1), Body("s1", 0), Body("s2", 1)}, Uuid::random());
  append(20, 2);
  auto lanes = start();
  wait_until_at(*lanes, 44);
  lanes->stop();
  auto rows = rows_by_lane();
  EXPECT_TRUE(std::ranges::includes(rows[1], Sequences{21, 22, 23}));
  for (const auto& one : store.transactions) {
    auto parts = std::ranges::count_if(one.sequences,
                                       [](std::uint64_t each) { return each >= 21 && each <= 23; });
    EXPECT_TRUE(parts == 0 || parts == 3);
  }
  for (std::uint64_t before = 1; before <= 20; ++before) EXPECT_LT(place(before), place(21));
  for (std::uint64_t after = 24; after <= 43; ++after) EXPECT_GT(place(after), place(23));
  EXPECT_EQ(store.rows().size(), 43U);
}

TEST_F(SinkLanesTest, many_mixed_submissions_keep_the_order_of_every_key) {
  begin_with(3);
  for (std::uint32_t i = 0; i < 60; ++i) {
    journal.append({Body("a", i % 7), Body("b", (i + 3) % 7)}, Uuid::random());
    append(3, 5);
  }
  auto lanes = start();
  wait_until_at(*lanes, 301);
  lanes->stop();
  Sequences rows = store.rows();
  EXPECT_EQ(rows.size(), 300U);
  EXPECT_EQ(std::set<std::uint64_t>(rows.begin(), rows.end()).size(), 300U);
  // Of a submission every lane has what came before, and none what came behind.
  for (std::uint64_t first = 1; first <= 296; first += 5) {
    const std::uint64_t key = first / 5;
    if (key % 7 % 3 == (key + 3) % 7 % 3) continue;  // of one lane: no other cares
    if (first > 1) EXPECT_LT(place(first - 1), place(first));
    EXPECT_LT(place(first + 1), place(first + 2));
  }
}

TEST_F(SinkLanesTest, a_lane_that_is_stuck_does_not_hold_up_the_others) {
  store.at = [](std::string_view step, unsigned lane) -> Result<void> {
    if (lane == 1 && step == "begin") return fail(ErrorCode::unavailable, "no");
    return {};
  };
  append(100, 2);
  auto lanes = start();
  store.wait_for([](const MemoryStore& now) { return now.rows().size() == 50; });
  EXPECT_LE(lanes->next_sequence(), 2U);
}

TEST_F(SinkLanesTest, their_number_changes_at_the_journal_s_end_and_nothing_is_lost_or_doubled) {
  append(40, 7);
  store.at = [](std::string_view step, unsigned lane) -> Result<void> {
    if (lane == 1 && step == "begin") return fail(ErrorCode::unavailable, "no");
    return {};
  };
  auto lanes = start();
  store.wait_for([](const MemoryStore& now) { return now.rows().size() > 10; });
  lanes.reset();  // lane 1 has delivered nothing
  std::vector<unsigned> numbers{4, 1, 3};
  for (unsigned number : numbers) {
    options.lanes = number;
    store.at = [](std::string_view, unsigned) { return Result<void>(); };
    lanes = start();
    append(40, 7);
    wait_until_at(*lanes, journal.end().next_sequence);
    lanes.reset();
  }
  Sequences rows = store.rows();
  EXPECT_EQ(rows.size(), 160U);
  EXPECT_EQ(std::set<std::uint64_t>(rows.begin(), rows.end()).size(), 160U);
  for (std::uint64_t key = 0; key < 7; ++key) {
    Sequences of_key;
    for (std::uint64_t sequence : rows) {
      if ((sequence - 1) % 40 % 7 == key) of_key.push_back(sequence);
    }
    EXPECT_TRUE(std::ranges::is_sorted(of_key)) << key;
  }
}

TEST_F(SinkLanesTest, a_destination_from_an_older_back_up_gets_all_that_it_lacks_after_a_change) {
  append(40, 7);
  auto lanes = start();
  wait_until_at(*lanes, 41);
  lanes.reset();
  auto cursors = store.cursors;
  auto transactions = store.transactions;
  options.lanes = 3;
  lanes = start();
  append(40, 7);
  wait_until_at(*lanes, 81);
  lanes.reset();
  store.cursors = cursors;
  store.transactions = transactions;
  lanes = start();
  wait_until_at(*lanes, 81);
  lanes.reset();
  Sequences rows = store.rows();
  EXPECT_EQ(rows.size(), 80U);
  EXPECT_EQ(std::set<std::uint64_t>(rows.begin(), rows.end()).size(), 80U);
}

TEST_F(SinkLanesTest, a_destination_that_goes_back_to_before_a_change_gets_all_while_they_run) {
  begin_with(3);
  append(40, 7);
  auto lanes = start();
  wait_until_at(*lanes, 41);
  lanes.reset();
  options.lanes = 1;
  lanes = start();
  append(40, 7);
  wait_until_at(*lanes, 81);
  for (std::uint64_t round = 1; round <= 2; ++round) {
    {
      std::lock_guard lock(store.mutex);
      for (auto& [lane, cursor] : store.cursors) cursor = 11;
      for (auto& one : store.transactions) {
        std::erase_if(one.sequences, [](std::uint64_t sequence) { return sequence >= 11; });
      }
    }
    append(1, 1);
    store.wait_for([&](const MemoryStore& now) { return now.rows().size() == 80 + round; });
    wait_until_at(*lanes, 81 + round);
    Sequences rows = store.rows();
    EXPECT_EQ(std::set<std::uint64_t>(rows.begin(), rows.end()).size(), 80 + round);
    for (std::uint64_t key = 0; key < 7; ++key) {
      Sequences of_key;
      for (std::uint64_t sequence : rows) {
        if (sequence <= 80 && (sequence - 1) % 40 % 7 == key) of_key.push_back(sequence);
      }
      EXPECT_TRUE(std::ranges::is_sorted(of_key)) << key;
    }
  }
  EXPECT_EQ(journal.cursors_of("memory/2").back(), UINT64_MAX) << "holds nothing back";
}

TEST_F(SinkLanesTest, a_sink_that_hangs_slows_no_other) {
  constexpr unsigned count = 2'000;
  const auto time_for = [&](SinkLanes& lanes, std::uint64_t until) {
    const auto began = std::chrono::steady_clock::now();
    append(count, 7);
    wait_until_at(lanes, until);
    return std::chrono::steady_clock::now() - began;
  };
  auto lanes = start();
  const auto alone = time_for(*lanes, count + 1);
  MemoryStore hung;
  std::atomic<bool> goes_on = false;
  std::atomic<int> hanging = 0;
  hung.at = [&](std::string_view step, unsigned) -> Result<void> {
    if (step != "begin") return {};
    ++hanging;
    goes_on.wait(false);
    return {};
  };
  SinkLanesOptions others = options;
  others.schedule_file = directory.path() / "cursors" / "hung.lanes";
  others.each.dead_letters = &hung;
  SinkLanes stuck(
      others, journal,
      [&hung](unsigned lane) { return std::make_unique<support::MemorySink>(hung, lane); },
      metrics);
  ASSERT_TRUE(stuck.start());
  while (hanging == 0) std::this_thread::yield();
  const auto beside = time_for(*lanes, 2 * count + 1);
  EXPECT_LT(beside, 3 * alone + milliseconds(500));
  EXPECT_EQ(stuck.next_sequence(), 1U) << "it hangs still";
  goes_on = true;
  goes_on.notify_all();
}

TEST_F(SinkLanesTest, what_the_sink_lacks_is_not_counted_for_each_of_its_lanes) {
  options.lanes = 4;
  append(40, 7);
  journal.hold_back(4'000);
  store.at = [](std::string_view, unsigned) -> Result<void> {
    return fail(ErrorCode::unavailable, "away");
  };
  auto lanes = start();
  const std::string text = metrics.text();
  EXPECT_TRUE(text.contains("\ntrialwire_sink_lacking_records{sink=\"memory\"} 40\n")) << text;
  EXPECT_TRUE(text.contains("trialwire_sink_lag_records{lane=\"3\",sink=\"memory\"} 40\n")) << text;
  EXPECT_TRUE(text.contains("\ntrialwire_sink_lacking_bytes{sink=\"memory\"} 4000\n")) << text;
  lanes.reset();
  EXPECT_FALSE(metrics.text().contains("\ntrialwire_sink_lacking_records{"));
}

TEST_F(SinkLanesTest, a_lane_that_has_ended_lacks_nothing_and_is_in_no_state) {
  append(40, 7);
  start().reset();
  options.lanes = 1;
  auto lanes = start();
  wait_until_at(*lanes, 41);
  append(40, 7);
  wait_until_at(*lanes, 81);
  const auto says = [this](const char* gauge) {
    return metrics.text().contains(
        fmt::format("\ntrialwire_sink_{}{{lane=\"1\",sink=\"memory\"", gauge));
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (says("running") && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  for (const char* gauge : {"running", "state", "lag_records", "lag_seconds", "gives_way"}) {
    EXPECT_FALSE(says(gauge)) << gauge << metrics.text();
  }
  EXPECT_TRUE(metrics.text().contains("trialwire_sink_running{lane=\"0\",sink=\"memory\"} 1\n"));
}

TEST_F(SinkLanesTest, the_history_is_kept_also_of_what_is_no_longer_in_the_journal) {
  append(40, 7);
  start().reset();
  options.lanes = 1;
  journal.forget_before(41);
  auto lanes = start();
  wait_until_at(*lanes, 41);
  lanes.reset();
  // The archive has it again, and the destination is of before.
  journal.forget_before(1);
  store.cursors = {{0, 31}, {1, 11}};
  store.transactions.clear();
  lanes = start();
  wait_until_at(*lanes, 41);
  lanes.reset();
  Sequences lacked;
  for (std::uint64_t sequence = 11; sequence <= 40; ++sequence) {
    const bool second = (sequence - 1) % 7 % 2 == 1;
    if (second || sequence >= 31) lacked.push_back(sequence);
  }
  Sequences rows = store.rows();
  std::ranges::sort(rows);
  EXPECT_EQ(rows, lacked);
}

TEST_F(SinkLanesTest, what_a_sink_had_is_not_held_back_while_it_does_not_answer_at_a_start) {
  options.reached_file = directory.path() / "cursors" / "memory.reached";
  options.reached_interval = milliseconds(0);
  auto lanes = start();
  append(40, 7);
  wait_until_at(*lanes, 41);
  lanes.reset();
  store.at = [](std::string_view, unsigned) -> Result<void> {
    return fail(ErrorCode::unavailable, "no connection");
  };
  lanes = start();
  EXPECT_EQ(journal.cursors_of("memory/0").back(), 41U);
  EXPECT_EQ(journal.cursors_of("memory/1").back(), 41U);
  EXPECT_EQ(lanes->next_sequence(), 0U);
}

TEST_F(SinkLanesTest, the_word_of_a_sink_counts_more_than_the_note_of_where_it_was) {
  options.reached_file = directory.path() / "cursors" / "memory.reached";
  auto lanes = start();
  append(40, 7);
  wait_until_at(*lanes, 41);
  lanes.reset();
  store.cursors.clear();  // restored from before
  store.transactions.clear();
  lanes = start();
  wait_until_at(*lanes, 41);
  EXPECT_EQ(store.rows().size(), 40U);
  journal::write_file(options.reached_file, "nonsense");
  lanes.reset();
  lanes = start();
  EXPECT_EQ(lanes->lanes(), 2U);
}

TEST_F(SinkLanesTest, a_sink_that_is_beyond_where_the_journal_was_stays_refused_over_restarts) {
  options.bounds_file = directory.path() / "cursors" / "memory.beyond";
  append(10, 2);
  store.cursors = {{0, 31}, {1, 31}};  // of a later time than this journal
  std::atomic<bool> away = true;
  store.at = [&](std::string_view, unsigned) -> Result<void> {
    if (away) return fail(ErrorCode::unavailable, "no connection");
    return {};
  };
  auto lanes = start();
  append(40, 2);
  lanes.reset();
  away = false;
  for (int n = 0; n < 2; ++n) {
    const auto started = make()->start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::corrupt);
    EXPECT_TRUE(started.error().text.contains("at sequence 31")) << started.error().text;
    EXPECT_TRUE(started.error().text.contains("replay --from 11")) << started.error().text;
  }
  EXPECT_TRUE(store.transactions.empty());
  store.cursors = {{0, 11}, {1, 11}};
  lanes = start();
  wait_until_at(*lanes, 51);
  EXPECT_EQ(store.rows().size(), 40U);
  EXPECT_FALSE(std::filesystem::exists(options.bounds_file));
}

TEST_F(SinkLanesTest, a_lane_that_has_its_place_again_no_longer_has_a_bound_at_the_next_start) {
  options.bounds_file = directory.path() / "cursors" / "memory.beyond";
  append(10, 2);
  std::atomic<bool> away = true;
  store.at = [&](std::string_view, unsigned lane) -> Result<void> {
    if (away && lane == 1) return fail(ErrorCode::unavailable, "no connection");
    return {};
  };
  auto lanes = start();
  const std::string head = "journal " + journal.end().journal.text() + "\n";
  EXPECT_EQ(journal::read_file(options.bounds_file), head + "1 11\n");
  away = false;
  append(10, 2);
  wait_until_at(*lanes, 21);
  EXPECT_FALSE(std::filesystem::exists(options.bounds_file)) << "gone before anything is delivered";
  lanes.reset();
  lanes = start();
  wait_until_at(*lanes, 21);
}

TEST_F(SinkLanesTest, a_refused_start_after_which_nothing_was_taken_leaves_no_bound) {
  options.bounds_file = directory.path() / "cursors" / "memory.beyond";
  append(10, 2);
  store.cursors = {{0, 31}, {1, 31}};
  EXPECT_FALSE(make()->start());
  EXPECT_FALSE(std::filesystem::exists(options.bounds_file));
  append(20, 2);  // a repair lets the journal go on there
  auto lanes = start();
  wait_until_at(*lanes, 31);
}

TEST_F(SinkLanesTest, a_damaged_file_of_bounds_is_refused_and_another_journal_s_is_none) {
  options.bounds_file = directory.path() / "cursors" / "memory.beyond";
  journal::write_file(options.bounds_file, "nonsense");
  const auto started = make()->start();
  ASSERT_FALSE(started);
  EXPECT_TRUE(started.error().text.contains("memory.beyond: line 1")) << started.error().text;
  journal::write_file(options.bounds_file, "journal " + Uuid::random().text() + "\n0 1\n");
  append(10, 2);
  store.cursors = {{0, 11}, {1, 11}};
  wait_until_at(*start(), 11);
}

TEST_F(SinkLanesTest, a_damaged_file_of_their_number_is_refused_and_named) {
  std::filesystem::create_directories(options.schedule_file.parent_path());
  journal::write_file(options.schedule_file, "nonsense");
  auto lanes = make();
  auto started = lanes->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::corrupt);
  EXPECT_TRUE(started.error().text.contains("memory.lanes")) << started.error().text;
}

TEST_F(SinkLanesTest, an_older_journal_under_a_newer_history_is_refused_with_both_named) {
  append(3, 2);
  LaneSchedule newer(1);
  newer.change(100, 2);
  journal::write_file(options.schedule_file, newer.text(journal.end().journal));
  for (const unsigned lanes : {2U, 3U}) {
    options.lanes = lanes;
    const auto started = make()->start();
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, ErrorCode::corrupt);
    EXPECT_TRUE(started.error().text.contains(options.schedule_file.string()));
    EXPECT_TRUE(started.error().text.contains("2 lanes from sequence 100 on"));
    EXPECT_TRUE(started.error().text.contains("ends at 4")) << started.error().text;
  }
  EXPECT_TRUE(store.transactions.empty());
}

TEST_F(SinkLanesTest, a_history_that_ends_where_the_journal_does_is_taken) {
  append(3, 2);
  LaneSchedule same(1);
  same.change(4, 2);
  journal::write_file(options.schedule_file, same.text(journal.end().journal));
  EXPECT_EQ(start()->lanes(), 2U);
}

TEST_F(SinkLanesTest, one_lane_needs_no_file_and_the_history_of_another_journal_is_none) {
  std::filesystem::remove(options.schedule_file);
  options.lanes = 1;
  start().reset();
  EXPECT_FALSE(std::filesystem::exists(options.schedule_file));
  LaneSchedule foreign(5);
  std::filesystem::create_directories(options.schedule_file.parent_path());
  journal::write_file(options.schedule_file, foreign.text(Uuid::random()));
  options.lanes = 2;
  auto lanes = start();
  EXPECT_EQ(lanes->lanes(), 2U);
}

TEST_F(SinkLanesTest, all_lanes_hold_the_journal_before_one_of_them_asks_its_sink) {
  append(10, 2);
  store.cursors = {{0, 11}, {1, 3}};
  bool all_held = true;
  store.at = [&](std::string_view step, unsigned) -> Result<void> {
    if (step == "ask") {
      all_held = all_held && !journal.cursors_of("memory/0").empty() &&
                 !journal.cursors_of("memory/1").empty();
    }
    return {};
  };
  auto lanes = start();
  EXPECT_TRUE(all_held);
  EXPECT_EQ(journal.cursors_of("memory/1").front(), 1U);
}

}  // namespace
}  // namespace trialwire::pipeline
