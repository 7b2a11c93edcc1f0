// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "pipeline/record_batch.hpp"
#include "support/memory_journal.hpp"
#include "telemetry/metrics.hpp"

namespace trialwire::pipeline {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds patience{20'000};  // a failing test's end, not a wait

/// What happened in a sink that the lane owns; lives in the test.
class SinkLog {
 public:
  struct Delivery {
    std::vector<std::string> bodies;
    std::uint64_t next_sequence = 0;
  };

  void wait_for(const std::function<bool(const SinkLog&)>& reached) {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(changed.wait_for(lock, patience, [&] { return reached(*this); }));
  }
  std::size_t records() const {
    std::size_t count = 0;
    for (const Delivery& delivery : deliveries) count += delivery.bodies.size();
    return count;
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Delivery> deliveries;
  std::uint64_t cursor = 1;
  unsigned failing_deliveries = 0;
  unsigned failing_cursors = 0;
  ErrorCode failure = ErrorCode::unavailable;
  unsigned attempts = 0;
  unsigned asked = 0;
  unsigned resets = 0;
  bool hold = false;  // deliveries wait while it is set, or until they are given up
  bool given_up = false;
  std::function<void()> when_reset;  // under the mutex
};

class FakeSink final : public Sink {
 public:
  explicit FakeSink(SinkLog& log) : log_(log) {}
  std::string_view name() const noexcept override { return "fake"; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override {
    std::lock_guard lock(log_.mutex);
    ++log_.asked;
    if (log_.failing_cursors > 0) {
      --log_.failing_cursors;
      return fail(ErrorCode::unavailable, "no connection");
    }
    return journal::Cursor{journal, log_.cursor};
  }
  Result<void> deliver(std::span<const journal::Record> records,
                       const journal::Cursor& cursor) override {
    std::unique_lock lock(log_.mutex);
    ++log_.attempts;
    log_.changed.notify_all();
    log_.changed.wait(lock, [this] { return !log_.hold || log_.given_up; });
    if (log_.given_up) return fail(ErrorCode::cancelled, "given up");
    if (log_.failing_deliveries > 0) {
      --log_.failing_deliveries;
      return fail(log_.failure, "cannot");
    }
    SinkLog::Delivery& delivery = log_.deliveries.emplace_back();
    for (const auto& record : records) delivery.bodies.emplace_back(as_text(record.bytes));
    delivery.next_sequence = log_.cursor = cursor.next_sequence;
    log_.changed.notify_all();
    return {};
  }
  void reset() noexcept override {
    std::lock_guard lock(log_.mutex);
    ++log_.resets;
    if (log_.when_reset) log_.when_reset();
  }
  void give_up() noexcept override {
    std::lock_guard lock(log_.mutex);
    log_.given_up = true;
    log_.changed.notify_all();
  }

 private:
  SinkLog& log_;
};

class LaneTest : public testing::Test {
 protected:
  LaneTest() {
    options.batch_delay = milliseconds(5);
    options.delivery_interval = milliseconds(1);
    options.backoff = {milliseconds(1), milliseconds(2)};
    options.background = false;
  }
  std::unique_ptr<Lane> make_lane() {
    return std::make_unique<Lane>(options, journal, std::make_unique<FakeSink>(log), metrics);
  }
  std::vector<std::string> delivered() const {
    std::vector<std::string> all;
    for (const auto& delivery : log.deliveries) {
      all.insert(all.end(), delivery.bodies.begin(), delivery.bodies.end());
    }
    return all;
  }
  bool metrics_have(std::string_view line) { return metrics.text().contains(line); }

  double value_of(std::string_view family) {
    std::string text = metrics.text();
    std::size_t at = text.find(fmt::format("\n{}{{", family));
    std::size_t space = text.find("} ", at);
    return at == std::string::npos ? -1.0 : std::stod(text.substr(space + 2));
  }
  /// Every batch meets contention: each reading is of so much more waiting.
  void contend() {
    options.background = true;
    options.processor_time = [waited = std::chrono::nanoseconds(0)]() mutable {
      waited += std::chrono::seconds(1);
      return ProcessorTime{std::chrono::milliseconds(1), waited};
    };
  }

  telemetry::Registry metrics;
  support::MemoryJournal journal;
  SinkLog log;
  LaneOptions options;
};

TEST_F(LaneTest, delivers_in_order_and_moves_the_cursor_after_success) {
  journal.append({"a", "b"});
  journal.append({"c"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 3; });
  journal.append({"d"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 4; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"a", "b", "c", "d"}));
  EXPECT_EQ(journal.cursors_of("fake/0").back(), 5U);
  EXPECT_EQ(lane->next_sequence(), 5U);
  EXPECT_TRUE(metrics_have(R"(trialwire_sink_delivered_records_total{lane="0",sink="fake"} 4)") ||
              metrics_have(R"(trialwire_sink_delivered_records_total{sink="fake",lane="0"} 4)"));
}

TEST_F(LaneTest, holds_the_journal_from_its_beginning_before_the_sink_has_answered) {
  log.failing_cursors = 1'000'000;
  journal.append({"a"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  EXPECT_EQ(journal.cursors_of("fake/0"), (std::vector<std::uint64_t>{1}));
  lane->stop();
  EXPECT_EQ(journal.cursors_of("fake/0"), (std::vector<std::uint64_t>{1}));
  EXPECT_EQ(lane->next_sequence(), 0U);
}

TEST_F(LaneTest, a_sink_that_cannot_be_reached_at_start_is_asked_until_it_answers) {
  log.failing_cursors = 5;
  journal.append({"a", "b"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 2; });
  EXPECT_GE(log.resets, 5U);
}

TEST_F(LaneTest, begins_where_the_sink_says_that_it_is_durable) {
  journal.append({"a", "b", "c"});
  log.cursor = 3;
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  EXPECT_EQ(log.deliveries[0].bodies[0], "c");
}

TEST_F(LaneTest, a_cursor_that_the_journal_refuses_makes_start_fail_and_is_named) {
  journal.append({"a"});
  log.cursor = 900;
  auto lane = make_lane();
  auto started = lane->start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, ErrorCode::corrupt);
  EXPECT_TRUE(started.error().text.contains("900")) << started.error().text;
  EXPECT_TRUE(started.error().text.contains("fake/0")) << started.error().text;
}

TEST_F(LaneTest, a_new_sink_begins_at_the_oldest_record_that_is_left) {
  journal.append({"a", "b", "c"});
  journal.forget_before(3);
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  EXPECT_EQ(log.deliveries[0].bodies[0], "c");
}

TEST_F(LaneTest, a_failed_delivery_is_repeated_whole_whatever_the_error) {
  log.failure = ErrorCode::corrupt;  // not retryable in general, but what else can a lane do
  log.failing_deliveries = 3;
  journal.append({"a", "b"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 2; });
  lane->stop();
  EXPECT_EQ(log.resets, 3U);
  EXPECT_EQ(log.cursor, 3U);
  EXPECT_TRUE(metrics_have("code=\"corrupt\""));
  EXPECT_TRUE(metrics_have("trialwire_sink_retries_total"));
}

TEST_F(LaneTest, a_sink_that_was_replaced_while_it_failed_gets_everything_again) {
  journal.append({"a", "b"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 2; });
  {
    std::lock_guard lock(log.mutex);
    log.failing_deliveries = 3;
    log.when_reset = [this] { log.cursor = log.resets == 2 ? 1 : log.cursor; };
  }
  journal.append({"c"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 5; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"a", "b", "a", "b", "c"}));
  EXPECT_EQ(lane->next_sequence(), 4U);
  std::vector<std::uint64_t> held = journal.cursors_of("fake/0");
  EXPECT_TRUE(std::find(held.begin() + 2, held.end(), 1U) != held.end()) << "held again";
  EXPECT_EQ(held.back(), 4U);
}

TEST_F(LaneTest, an_idle_sink_that_was_restored_from_a_back_up_gets_what_it_lacks) {
  options.idle_check = milliseconds(5);
  journal.append({"a", "b", "c"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& now) { return now.records() == 3; });
  {
    std::lock_guard lock(log.mutex);
    log.cursor = 2;
  }
  log.wait_for([](const SinkLog& now) { return now.records() == 5; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"a", "b", "c", "b", "c"}));
  EXPECT_EQ(value_of("trialwire_sink_missing_records_total"), 0.0);
}

TEST_F(LaneTest, an_idle_sink_that_is_away_fails_until_it_answers_and_gets_nothing_twice) {
  options.idle_check = milliseconds(5);
  journal.append({"a"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& now) { return now.records() == 1; });
  const auto away = [this](bool is) {
    std::lock_guard lock(log.mutex);
    log.failing_cursors = is ? 1'000'000'000 : 0;
  };
  away(true);
  while (lane->trouble() != "no connection") std::this_thread::yield();
  EXPECT_EQ(value_of("trialwire_sink_running"), 0.0);
  away(false);
  while (!lane->trouble().empty()) std::this_thread::yield();
  EXPECT_EQ(value_of("trialwire_sink_running"), 1.0);
  journal.append({"b"});
  log.wait_for([](const SinkLog& now) { return now.records() == 2; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"a", "b"}));
}

TEST_F(LaneTest, a_sink_is_not_asked_while_it_takes_records_or_when_that_is_off) {
  journal.append({"a"});
  for (const int check_ms : {60'000, 0}) {
    options.idle_check = milliseconds(check_ms);
    auto lane = make_lane();
    ASSERT_TRUE(lane->start());
    const std::size_t before = log.records();
    for (std::size_t n = 1; n <= 20; ++n) {
      journal.append({"x"});
      log.wait_for([&](const SinkLog& now) { return now.records() >= before + n; });
    }
    lane->stop();
  }
  EXPECT_EQ(log.asked, 2U) << "once at each start";
}

TEST_F(LaneTest, why_an_attempt_failed_is_told_until_one_succeeds) {
  journal.append({"a"});
  log.failing_deliveries = 1'000'000'000;
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  while (lane->trouble() != "cannot") std::this_thread::yield();
  {
    std::lock_guard lock(log.mutex);
    log.failing_deliveries = 0;
  }
  while (!lane->trouble().empty()) std::this_thread::yield();
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"a"}));
}

TEST_F(LaneTest, a_delivery_that_failed_but_was_stored_is_not_repeated) {
  journal.append({"a"});
  log.failing_deliveries = 1;
  log.when_reset = [this] { log.cursor = 2; };
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  while (lane->next_sequence() != 2) std::this_thread::yield();
  journal.append({"b"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"b"}));
}

TEST_F(LaneTest, a_sink_replaced_by_one_beyond_the_tail_gets_nothing_and_releases_nothing) {
  journal.append({"a"});
  log.failing_deliveries = 1;
  log.when_reset = [this] { log.cursor = log.resets < 4 ? 900 : 1; };
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  lane->stop();
  for (std::uint64_t held : journal.cursors_of("fake/0")) EXPECT_LE(held, 2U);
}

TEST_F(LaneTest,
       a_cursor_beyond_what_the_lane_delivered_stays_refused_when_the_journal_grows_past_it) {
  journal.append({"a"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  {
    std::lock_guard lock(log.mutex);
    log.failing_deliveries = 1;
    log.when_reset = [this] { log.cursor = log.resets < 20 ? 5 : 1; };
  }
  journal.append({"b", "c", "d", "e", "f", "g"});
  while (!lane->trouble().contains("at sequence 5")) std::this_thread::yield();
  EXPECT_TRUE(lane->trouble().contains("replay --from 2")) << lane->trouble();
  EXPECT_EQ(lane->next_sequence(), 0U);
  log.wait_for([](const SinkLog& sink) { return sink.records() == 8; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"a", "a", "b", "c", "d", "e", "f", "g"}));
  EXPECT_GE(log.resets, 20U) << "until it went back";
  for (std::uint64_t held : journal.cursors_of("fake/0")) EXPECT_TRUE(held <= 2 || held == 8);
}

TEST_F(LaneTest, a_first_answer_beyond_where_the_journal_ended_at_the_start_is_refused) {
  journal.append({"a"});
  log.failing_cursors = 1;
  log.cursor = 4;
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  journal.append({"b", "c", "d", "e"});
  while (!lane->trouble().contains("at sequence 4")) std::this_thread::yield();
  EXPECT_TRUE(metrics_have("code=\"corrupt\""));
  {
    std::lock_guard lock(log.mutex);
    log.cursor = 2;
  }
  log.wait_for([](const SinkLog& sink) { return sink.records() == 4; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"b", "c", "d", "e"}));
}

TEST_F(LaneTest, where_others_deliver_too_a_cursor_may_be_anywhere_in_the_journal) {
  options.delivers_alone = false;
  options.asks_at_start = false;
  log.failing_cursors = 1;
  log.cursor = 4;
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  journal.append({"a", "b", "c", "d"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"d"}));
}

TEST_F(LaneTest, a_cursor_older_than_the_oldest_record_begins_there_and_the_lost_are_counted) {
  journal.append({"a", "b", "c", "d", "e"});
  journal.forget_before(5);
  log.cursor = 2;
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"e"}));
  EXPECT_EQ(value_of("trialwire_sink_missing_records_total"), 3.0);
}

TEST_F(LaneTest, what_a_repair_declared_lost_is_passed_and_counted_once_also_at_the_end) {
  options.cursor_interval = std::chrono::milliseconds(1);
  journal.append({"a"});
  journal.lose(4);
  journal.append({"b"});
  journal.lose(10);
  log.failing_deliveries = 1;  // read again from the cursor: the same gap
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.cursor == 17; });
  EXPECT_EQ(value_of("trialwire_sink_missing_records_total"), 14.0);
  journal.append({"c"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 3; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(value_of("trialwire_sink_missing_records_total"), 14.0);
}

TEST_F(LaneTest, a_lagging_lane_delivers_large_batches_up_to_the_limit) {
  options.batch_records = 2;
  options.batch_records_max = 10;
  for (int i = 0; i < 25; ++i) journal.append({"x"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 25; });
  EXPECT_EQ(log.deliveries[0].bodies.size(), 10U);
  EXPECT_EQ(log.deliveries[1].bodies.size(), 10U);
  EXPECT_EQ(log.deliveries[2].bodies.size(), 5U);
}

TEST_F(LaneTest, a_delivery_ends_at_the_byte_limit) {
  options.batch_bytes_max = 100;
  for (int i = 0; i < 4; ++i) journal.append({std::string(60, 'x')});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 4; });
  EXPECT_EQ(log.deliveries[0].bodies.size(), 2U);
}

TEST_F(LaneTest, a_submission_is_never_split_even_over_the_limit) {
  options.batch_records_max = 3;
  journal.append({"a", "b"});
  Uuid submission = Uuid::random();
  journal.append({"s0", "s1", "s2", "s3", "s4"}, submission);
  journal.append({"c"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 8; });
  for (const auto& delivery : log.deliveries) {
    auto parts = std::count_if(delivery.bodies.begin(), delivery.bodies.end(),
                               [](const std::string& body) { return body.starts_with("s"); });
    EXPECT_TRUE(parts == 0 || parts == 5) << parts;
  }
}

TEST_F(LaneTest, neighbouring_submissions_of_one_journal_batch_may_be_delivered_apart) {
  journal::Record first;
  first.attributes.submission = Uuid::random();
  journal::Record second = first;
  EXPECT_FALSE(ends_between(first, &second));
  EXPECT_TRUE(ends_between(first, nullptr));
  second.attributes.submission = Uuid::random();
  EXPECT_TRUE(ends_between(first, &second));
  EXPECT_TRUE(ends_between(journal::Record{}, &first));
}

TEST_F(LaneTest, a_journal_that_cannot_be_read_is_read_again) {
  journal.append({"a"});
  journal.fail_reads(2);
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  lane->stop();
  EXPECT_TRUE(metrics_have("code=\"io\""));
}

TEST_F(LaneTest, stop_finishes_the_delivery_in_flight) {
  log.hold = true;
  journal.append({"a"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.attempts == 1; });
  std::thread stopper([&] { lane->stop(); });
  {
    std::lock_guard lock(log.mutex);
    log.hold = false;
    log.changed.notify_all();
  }
  stopper.join();
  EXPECT_EQ(log.records(), 1U);
  EXPECT_EQ(journal.cursors_of("fake/0").back(), 2U);
}

TEST_F(LaneTest, stop_gives_up_a_delivery_that_takes_too_long) {
  log.hold = true;
  options.stop_patience = milliseconds(10);
  journal.append({"a"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.attempts == 1; });
  lane->stop();
  EXPECT_TRUE(log.given_up);
  EXPECT_EQ(log.records(), 0U);
  EXPECT_EQ(journal.cursors_of("fake/0").back(), 1U);
}

TEST_F(LaneTest, stop_does_not_wait_for_a_sink_that_stays_away) {
  log.failing_deliveries = 1'000'000'000;
  options.backoff = {std::chrono::hours(1), std::chrono::hours(1)};
  journal.append({"a"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.attempts >= 1; });
  lane->stop();
  EXPECT_EQ(journal.cursors_of("fake/0").back(), 1U);
}

TEST_F(LaneTest, lag_is_shown_while_the_sink_stays_away) {
  log.failing_deliveries = 1'000'000'000;
  options.unix_now_ns = [] { return std::int64_t{61'000'000'000}; };
  journal.append({"a", "b", "c"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.attempts >= 2; });
  lane->stop();
  EXPECT_EQ(value_of("trialwire_sink_lag_records"), 3.0);
  EXPECT_EQ(value_of("trialwire_sink_lag_seconds"), 60.0);
  EXPECT_EQ(value_of("trialwire_sink_running"), 0.0);
}

TEST_F(LaneTest, lag_is_shown_as_it_is_while_a_delivery_hangs) {
  log.hold = true;
  journal.append({"a"});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.attempts >= 1; });
  journal.append({"b", "c", "d"});
  EXPECT_EQ(value_of("trialwire_sink_lag_records"), 4.0);
  lane->request_stop();
  {
    std::lock_guard lock(log.mutex);
    log.hold = false;
    log.changed.notify_all();
  }
  lane.reset();
  for (const char* gauge : {"lag_records", "lag_bytes", "lag_seconds", "running", "state"}) {
    EXPECT_EQ(value_of(fmt::format("trialwire_sink_{}", gauge)), -1.0)
        << gauge << ": there is no lane any more";
  }
}

TEST_F(LaneTest, a_clock_that_is_set_back_changes_neither_order_nor_cursors) {
  // Each record is received a day before the one before it, and the clock is behind them all.
  journal.receive_at([](std::uint64_t sequence) {
    return static_cast<std::int64_t>(100 - sequence) * 86'400'000'000'000;
  });
  options.unix_now_ns = [] { return std::int64_t{1}; };
  options.batch_records_max = 2;
  for (const char* body : {"a", "b", "c", "d", "e"}) journal.append({body});
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  log.wait_for([](const SinkLog& sink) { return sink.records() == 5; });
  lane->stop();
  EXPECT_EQ(delivered(), (std::vector<std::string>{"a", "b", "c", "d", "e"}));
  EXPECT_TRUE(std::ranges::is_sorted(journal.cursors_of("fake/0")));
  EXPECT_EQ(lane->next_sequence(), 6U);
  EXPECT_EQ(value_of("trialwire_sink_lag_seconds"), 0.0);
}

TEST_F(LaneTest, a_lane_that_meets_contention_pauses_and_a_stop_ends_the_pause) {
  contend();
  options.give_way.pause_first = options.give_way.pause_max = std::chrono::hours(1);
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  journal.append({"a"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  while (lane->next_sequence() < 2) std::this_thread::yield();
  EXPECT_EQ(value_of("trialwire_sink_gives_way"), 1.0);
  auto began = std::chrono::steady_clock::now();
  lane->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, patience);
  EXPECT_GE(value_of("trialwire_sink_paused_seconds_total"), 0.0);
}

TEST_F(LaneTest, a_pause_ends_when_nothing_more_is_appended) {
  contend();
  options.give_way.pause_first = options.give_way.pause_max = std::chrono::hours(1);
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  journal.append({"a"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  journal.append({"b"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 2; });
}

TEST_F(LaneTest, batches_between_pauses_are_small_and_go_on_while_intake_does) {
  contend();
  options.batch_records = 2;
  options.batch_records_max = 100;
  options.give_way.pause_first = options.give_way.pause_max = milliseconds(1);
  journal.when_asked([this] {
    for (int i = 0; i < 10; ++i) journal.append({"x"});
  });
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  journal.append({"a"});
  log.wait_for([](const SinkLog& sink) { return sink.deliveries.size() >= 5; });
  lane->stop();
  log.deliveries.erase(log.deliveries.begin());  // before the first pause
  for (const auto& delivery : log.deliveries) EXPECT_LE(delivery.bodies.size(), 2U);
  EXPECT_GE(value_of("trialwire_sink_paused_seconds_total"), 0.004);
}

TEST_F(LaneTest, a_lane_whose_backlog_presses_the_journal_does_not_pause) {
  contend();
  options.give_way.pause_first = options.give_way.pause_max = std::chrono::hours(1);
  options.give_way.backlog_bytes_max = 1'000;
  journal.hold_back(1'001);
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  journal.append({"a"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  while (lane->next_sequence() < 2) std::this_thread::yield();
  EXPECT_EQ(value_of("trialwire_sink_gives_way"), 0.0);
  lane->stop();
  EXPECT_EQ(value_of("trialwire_sink_paused_seconds_total"), 0.0);
}

TEST_F(LaneTest, not_in_background_a_lane_never_pauses) {
  contend();
  options.background = false;
  options.give_way.pause_first = options.give_way.pause_max = std::chrono::hours(1);
  auto lane = make_lane();
  ASSERT_TRUE(lane->start());
  journal.append({"a"});
  log.wait_for([](const SinkLog& sink) { return sink.records() == 1; });
  lane->stop();
  EXPECT_EQ(value_of("trialwire_sink_paused_seconds_total"), 0.0);
}

}  // namespace
}  // namespace trialwire::pipeline
