// SPDX-License-Identifier: Apache-2.0
// What a lane does with records that its sink refuses.
#include "pipeline/dead_letters.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>

#include "pipeline/lane.hpp"
#include "support/memory_journal.hpp"
#include "support/memory_store.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::pipeline {
namespace {

using std::chrono::milliseconds;
using support::MemoryStore;
using Sequences = std::vector<std::uint64_t>;

class DeadLettersTest : public testing::Test {
 protected:
  DeadLettersTest() {
    options.batch_delay = milliseconds(2);
    options.delivery_interval = milliseconds(1);
    options.backoff = {milliseconds(1), milliseconds(2)};
    options.retry_look = milliseconds(1);
    options.background = false;
    options.dead_letters = &store;
    store.is_poison = [](const journal::Record& record) {
      return as_text(record.bytes).contains("bad");
    };
  }
  std::unique_ptr<Lane> start_lane() {
    auto lane = std::make_unique<Lane>(options, journal,
                                       std::make_unique<support::MemorySink>(store, 0), metrics);
    EXPECT_TRUE(lane->start());
    return lane;
  }
  void wait_until_at(std::uint64_t sequence) {
    store.wait_for([&](const MemoryStore& now) {
      auto found = now.cursors.find(0);
      return found != now.cursors.end() && found->second >= sequence;
    });
  }
  Sequences letters() const {
    Sequences all;
    for (const auto& [sequence, attempts] : store.letters) all.push_back(sequence);
    return all;
  }
  bool metrics_have(std::string_view line) { return metrics.text().contains(line); }
  bool is_stuck() {
    return metrics_have(R"(trialwire_sink_state{lane="0",sink="memory",state="stuck"} 1)");
  }

  telemetry::Registry metrics;
  support::MemoryJournal journal;
  MemoryStore store;
  LaneOptions options;
};

TEST_F(DeadLettersTest, one_bad_record_is_set_aside_and_the_rest_goes_on_in_order) {
  journal.append({"a", "b", "bad", "c", "d"});
  journal.append({"e"});
  auto lane = start_lane();
  wait_until_at(7);
  lane->stop();
  EXPECT_EQ(store.rows(), (Sequences{1, 2, 4, 5, 6}));
  EXPECT_EQ(letters(), (Sequences{3}));
  EXPECT_EQ(journal.cursors_of("memory/0").back(), 7U);
  EXPECT_TRUE(metrics_have(R"(trialwire_sink_dead_letters_total{lane="0",sink="memory"} 1)"));
}

TEST_F(DeadLettersTest, a_sink_that_rolls_back_keeps_its_connection_over_any_number_of_refusals) {
  store.rolls_back = true;
  Sequences good;
  for (std::uint64_t sequence = 1; sequence <= 200; ++sequence) {
    journal.append({sequence % 7 == 3 ? "bad" : "good"});
    if (sequence % 7 != 3) good.push_back(sequence);
  }
  auto lane = start_lane();
  wait_until_at(201);
  lane->stop();
  EXPECT_EQ(store.rows(), good);
  EXPECT_EQ(letters().size(), 200 - good.size());
  EXPECT_EQ(store.resets, 0U);
  EXPECT_EQ(store.times_asked, 1U);
}

TEST_F(DeadLettersTest, a_destination_that_was_replaced_between_two_refusals_is_noticed) {
  store.rolls_back = true;
  journal.append({"a", "bad", "b", "bad", "c"});
  store.at = [&, once = false](std::string_view step, unsigned) mutable -> Result<void> {
    if (step != "letter stored" || std::exchange(once, true)) return {};
    std::lock_guard lock(store.mutex);
    store.cursors.clear();  // and what it had
    store.transactions.clear();
    return {};
  };
  auto lane = start_lane();
  store.wait_for([](const MemoryStore& now) { return now.rows() == Sequences({1, 3, 5}); });
  lane->stop();
  EXPECT_EQ(letters(), (Sequences{2, 4}));
}

TEST_F(DeadLettersTest, the_cursor_passes_a_bad_record_that_is_the_last_one) {
  journal.append({"a", "bad"});
  auto lane = start_lane();
  wait_until_at(3);
  lane->stop();
  EXPECT_EQ(store.rows(), (Sequences{1}));
  EXPECT_EQ(letters(), (Sequences{2}));
  EXPECT_EQ(lane->next_sequence(), 3U);
}

TEST_F(DeadLettersTest, a_submission_with_a_bad_record_is_set_aside_whole) {
  journal.append({"a", "b"});
  journal.append({"s0", "s1 bad", "s2"}, Uuid::random());
  journal.append({"t0", "t1"}, Uuid::random());
  auto lane = start_lane();
  wait_until_at(8);
  lane->stop();
  EXPECT_EQ(store.rows(), (Sequences{1, 2, 6, 7}));
  EXPECT_EQ(store.units, (std::vector<Sequences>{{3, 4, 5}}));
}

TEST_F(DeadLettersTest, it_is_set_aside_only_after_it_was_refused_alone) {
  // The destination takes no more than two records at once, and says so as of a record.
  store.is_poison = [](const journal::Record&) { return false; };
  struct Small final : Sink {
    explicit Small(MemoryStore& to) : inner(to, 0) {}
    std::string_view name() const noexcept override { return inner.name(); }
    Result<journal::Cursor> durable_cursor(const Uuid& id) override {
      return inner.durable_cursor(id);
    }
    Result<void> deliver(std::span<const journal::Record> records,
                         const journal::Cursor& cursor) override {
      if (records.size() > 2) return fail(ErrorCode::payload_too_large, "3 is more than 2");
      return inner.deliver(records, cursor);
    }
    void reset() noexcept override { inner.reset(); }
    support::MemorySink inner;
  };
  journal.append({"a", "b", "c", "d", "e", "f", "g"});
  Lane lane(options, journal, std::make_unique<Small>(store), metrics);
  ASSERT_TRUE(lane.start());
  wait_until_at(8);
  lane.stop();
  EXPECT_EQ(store.rows(), (Sequences{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_TRUE(store.letters.empty());
}

TEST_F(DeadLettersTest, one_that_was_delivered_comes_again_when_the_destination_goes_back) {
  journal.append({"a", "bad", "b", "c"});
  auto lane = start_lane();
  wait_until_at(5);
  {
    std::lock_guard lock(store.mutex);
    store.asked.insert(2);
  }
  store.wait_for([](const MemoryStore& now) { return now.rows().size() == 4; });
  // A back-up of before the letter was delivered and the last record came.
  {
    std::lock_guard lock(store.mutex);
    store.cursors[0] = 4;
    for (auto& one : store.transactions) {
      std::erase_if(one.sequences, [](std::uint64_t each) { return each == 2 || each == 4; });
    }
  }
  journal.append({"d"});
  store.wait_for([](const MemoryStore& now) { return now.rows().size() == 5; });
  lane->stop();
  Sequences rows = store.rows();
  std::ranges::sort(rows);
  EXPECT_EQ(rows, (Sequences{1, 2, 3, 4, 5}));
}

TEST_F(DeadLettersTest, dead_letters_that_cannot_be_stored_stall_the_lane_and_drop_nothing) {
  std::atomic<int> refusals = 0;
  store.at = [&](std::string_view step, unsigned) -> Result<void> {
    if (step != "letter" || ++refusals > 5) return {};
    return fail(ErrorCode::corrupt, "the file of dead letters is damaged");
  };
  journal.append({"a", "bad", "b"});
  auto lane = start_lane();
  wait_until_at(4);
  lane->stop();
  EXPECT_GE(refusals, 6);
  EXPECT_EQ(letters(), (Sequences{2}));
  EXPECT_EQ(store.rows(), (Sequences{1, 3}));
}

TEST_F(DeadLettersTest, while_they_cannot_be_stored_the_lane_is_stuck_and_the_cursor_stays) {
  std::atomic<int> refusals = 0;
  store.at = [&](std::string_view step, unsigned) -> Result<void> {
    if (step != "letter") return {};
    ++refusals;
    return fail(ErrorCode::io, "cannot be written");
  };
  journal.append({"a", "bad", "b"});
  auto lane = start_lane();
  while (refusals < 3) std::this_thread::yield();
  EXPECT_TRUE(is_stuck());
  lane->stop();
  EXPECT_EQ(store.rows(), (Sequences{1}));
  EXPECT_EQ(store.cursors[0], 2U);
  EXPECT_EQ(journal.cursors_of("memory/0").back(), 2U);
}

TEST_F(DeadLettersTest, a_sink_that_refuses_everything_is_not_believed_for_ever) {
  std::atomic<bool> broken = true;
  options.refusals_max = 3;
  store.is_poison = [&](const journal::Record&) { return broken.load(); };
  journal.append({"a", "b", "c", "d", "e"});
  auto lane = start_lane();
  while (!is_stuck()) std::this_thread::yield();
  EXPECT_EQ(letters(), (Sequences{1, 2, 3})) << "then the sink is what is wrong";
  broken = false;
  wait_until_at(6);
  lane->stop();
  EXPECT_EQ(store.rows(), (Sequences{4, 5}));
  EXPECT_EQ(letters(), (Sequences{1, 2, 3}));
}

TEST_F(DeadLettersTest, refusals_with_records_taken_between_do_not_add_up) {
  options.refusals_max = 1;
  journal.append({"a", "bad", "b", "bad", "c", "bad", "d"});
  auto lane = start_lane();
  wait_until_at(8);
  EXPECT_EQ(letters(), (Sequences{2, 4, 6}));
}

TEST_F(DeadLettersTest, without_a_place_for_dead_letters_a_refusal_is_repeated) {
  options.dead_letters = nullptr;
  std::atomic<int> attempts = 0;
  store.is_poison = [&](const journal::Record&) { return ++attempts < 5; };
  journal.append({"a"});
  auto lane = start_lane();
  wait_until_at(2);
  EXPECT_EQ(store.rows(), (Sequences{1}));
}

TEST_F(DeadLettersTest, where_senders_wait_for_the_sink_a_refusal_stalls_and_nothing_is_set_aside) {
  options.sets_aside = false;
  std::atomic<bool> broken = true;
  store.is_poison = [&](const journal::Record&) { return broken.load(); };
  journal.append({"a", "b"});
  auto lane = start_lane();
  while (!is_stuck()) std::this_thread::yield();
  broken = false;
  wait_until_at(3);
  lane->stop();
  EXPECT_EQ(store.rows(), (Sequences{1, 2}));
  EXPECT_EQ(letters(), Sequences{});
}

TEST_F(DeadLettersTest, a_delivery_that_takes_too_long_is_repeated_in_pieces_that_do_not) {
  constexpr std::size_t all = 5'000, in_time = 1'000;
  options.batch_records = 100;
  options.batch_records_max = 10'000;
  std::atomic<std::size_t> rows = 0;
  store.is_poison = [&](const journal::Record&) {
    ++rows;
    return false;
  };
  store.at = [&](std::string_view step, unsigned) -> Result<void> {
    if (step == "begin") rows = 0;
    if (step != "rows" || rows <= in_time) return {};
    return fail(ErrorCode::deadline_exceeded, "too many");
  };
  journal.append(std::vector<support::MemoryJournal::Body>(all, "a"));
  auto lane = start_lane();
  wait_until_at(all + 1);
  lane->stop();
  EXPECT_EQ(store.rows().size(), all);
  EXPECT_EQ(letters(), Sequences{});
}

TEST_F(DeadLettersTest, a_letter_that_is_asked_for_is_delivered_and_the_cursor_stays) {
  std::atomic<bool> mended = false;
  store.is_poison = [&](const journal::Record& record) {
    return !mended && as_text(record.bytes).contains("bad");
  };
  journal.append({"a", "bad", "b"});
  auto lane = start_lane();
  wait_until_at(4);
  mended = true;
  {
    std::lock_guard lock(store.mutex);
    store.asked.insert(2);
  }
  store.wait_for([](const MemoryStore& now) { return now.letters.empty(); });
  journal.append({"c"});
  wait_until_at(5);
  lane->stop();
  EXPECT_EQ(store.rows(), (Sequences{1, 3, 2, 4}));
  EXPECT_EQ(store.transactions[2].next_sequence, 4U);
}

TEST_F(DeadLettersTest, a_letter_that_is_refused_again_waits_again) {
  journal.append({"a", "bad"});
  store.is_poison = [&](const journal::Record& record) { return record.sequence == 2; };
  auto lane = start_lane();
  wait_until_at(3);
  {
    std::lock_guard lock(store.mutex);
    store.asked.insert(2);
  }
  store.wait_for([](const MemoryStore& now) { return now.letters.at(2) == 2; });
  EXPECT_TRUE(store.asked.empty());
  journal.append({"b"});
  wait_until_at(4);
}

}  // namespace
}  // namespace trialwire::pipeline
