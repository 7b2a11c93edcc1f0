// SPDX-License-Identifier: Apache-2.0
#include "pipeline/guarded_sink.hpp"

#include <gtest/gtest.h>

#include <optional>

#include "telemetry/metrics.hpp"

namespace trialwire::pipeline {
namespace {

using namespace std::chrono_literals;

struct Destination {
  std::optional<ErrorCode> answers;
  int asked = 0;
  bool given_up = false;
  bool keeps_cursor_here = false;
};

class OneSink final : public Sink {
 public:
  explicit OneSink(Destination& to) : to_(to) {}
  std::string_view name() const noexcept override { return "one"; }
  Result<journal::Cursor> durable_cursor(const Uuid& journal) override {
    if (to_.keeps_cursor_here) return journal::Cursor{journal, 7};
    ++to_.asked;
    if (to_.answers) return fail(*to_.answers, "the reason");
    return journal::Cursor{journal, 7};
  }
  bool keeps_cursor_here() const noexcept override { return to_.keeps_cursor_here; }
  Result<void> deliver(std::span<const journal::Record>, const journal::Cursor&) override {
    ++to_.asked;
    if (to_.answers) return fail(*to_.answers, "the reason");
    return {};
  }
  void reset() noexcept override {}
  void give_up() noexcept override { to_.given_up = true; }

 private:
  Destination& to_;
};

class GuardedSinkTest : public testing::Test {
 protected:
  telemetry::Registry metrics_;
  runtime::Guard guard_{
      "one",
      {.kind = resilience::BreakerKind::ratio, .calls_min = 2, .open_for = std::chrono::hours(1)},
      metrics_};
  Destination destination_;
  std::unique_ptr<Sink> sink_ = guard_sink(std::make_unique<OneSink>(destination_), guard_);
};

TEST_F(GuardedSinkTest, passes_everything_on_while_it_works) {
  EXPECT_EQ(sink_->name(), "one");
  EXPECT_EQ(sink_->durable_cursor({})->next_sequence, 7U);
  EXPECT_TRUE(sink_->deliver({}, {}));
  sink_->give_up();
  EXPECT_TRUE(destination_.given_up);
}

TEST_F(GuardedSinkTest, does_not_ask_a_destination_that_fails) {
  destination_.answers = ErrorCode::deadline_exceeded;
  EXPECT_EQ(sink_->deliver({}, {}).error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(sink_->durable_cursor({}).error().code, ErrorCode::deadline_exceeded);
  EXPECT_EQ(sink_->deliver({}, {}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(sink_->durable_cursor({}).error().code, ErrorCode::unavailable);
  EXPECT_EQ(destination_.asked, 2);
}

TEST_F(GuardedSinkTest, says_why_while_it_does_not_ask) {
  destination_.answers = ErrorCode::forbidden;
  EXPECT_FALSE(sink_->durable_cursor({}));
  EXPECT_FALSE(sink_->durable_cursor({}));
  const auto refused = sink_->durable_cursor({});
  EXPECT_EQ(destination_.asked, 2);
  EXPECT_EQ(refused.error().code, ErrorCode::forbidden)
      << "the lane is stuck, and not just waiting";
  EXPECT_EQ(refused.error().text, "not asked, breaker one is open; the last call said: the reason");
}

TEST_F(GuardedSinkTest, goes_on_after_a_good_answer_while_others_are_refused) {
  EXPECT_TRUE(sink_->durable_cursor({}));
  for (int i = 0; i < 9; ++i) guard_.begin().failed();
  EXPECT_FALSE(guard_.begin());
  EXPECT_TRUE(sink_->deliver({}, {}));
  destination_.answers = ErrorCode::unavailable;
  EXPECT_FALSE(sink_->deliver({}, {}));
  EXPECT_EQ(destination_.asked, 3);
  EXPECT_FALSE(sink_->deliver({}, {}));
  EXPECT_EQ(destination_.asked, 3) << "it has failed itself";
}

TEST_F(GuardedSinkTest, is_not_taken_for_well_because_a_cursor_kept_here_can_be_read) {
  destination_.keeps_cursor_here = true;
  destination_.answers = ErrorCode::unavailable;
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(sink_->deliver({}, {}));
    EXPECT_EQ(sink_->durable_cursor({})->next_sequence, 7U) << "also while it is open";
  }
  EXPECT_EQ(destination_.asked, 2);
  EXPECT_EQ(guard_.state(), resilience::BreakerState::open);
}

TEST_F(GuardedSinkTest, goes_on_asking_one_that_refuses_records) {
  destination_.answers = ErrorCode::invalid_argument;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(sink_->deliver({}, {}).error().code, ErrorCode::invalid_argument);
  }
  EXPECT_EQ(destination_.asked, 10);
}

}  // namespace
}  // namespace trialwire::pipeline
