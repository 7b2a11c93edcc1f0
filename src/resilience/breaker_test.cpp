// SPDX-License-Identifier: Apache-2.0
#include "resilience/breaker.hpp"

#include <gtest/gtest.h>

#include <deque>

#include "support/random.hpp"

namespace trialwire::resilience {
namespace {

using Call = Breaker::Call;
using State = BreakerState;
using namespace std::chrono_literals;

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t bucket = 250 * ms;
constexpr std::int64_t start = 1'000'000 * bucket;

void fail(Breaker& breaker, int count, std::int64_t now_ns) {
  for (int i = 0; i < count; ++i) breaker.failed(Call::made, now_ns);
}
void succeed(Breaker& breaker, int count, std::int64_t now_ns) {
  for (int i = 0; i < count; ++i) breaker.succeeded(Call::made, now_ns);
}
/// The chance under which a call is refused, found out on copies: to within a thousandth.
double refused_under(const Breaker& breaker, std::int64_t now_ns) {
  int thousandths = 0;
  while (thousandths < 1'000) {
    Breaker copy = breaker;
    if (copy.admit(now_ns, thousandths / 1'000.0) != Call::refused) break;
    ++thousandths;
  }
  return thousandths / 1'000.0;
}

class AdaptiveBreaker : public testing::Test {
 protected:
  AdaptiveBreaker() {
    // A call that was made just now: no probe is due.
    EXPECT_EQ(breaker_.admit(start, 0), Call::made);
  }
  Breaker breaker_{BreakerOptions{}};
};

TEST_F(AdaptiveBreaker, lets_all_calls_through_while_they_succeed) {
  for (int i = 0; i < 1'000; ++i) {
    ASSERT_EQ(breaker_.admit(start + i * ms, 0), Call::made);
    breaker_.succeeded(Call::made, start + i * ms);
  }
  EXPECT_EQ(breaker_.state(start + 1'000 * ms), State::closed);
}

TEST_F(AdaptiveBreaker, never_refuses_for_five_failures) {
  fail(breaker_, 5, start);
  EXPECT_EQ(breaker_.state(start), State::closed);
  EXPECT_EQ(breaker_.admit(start, 0), Call::made);
}

TEST_F(AdaptiveBreaker, follows_the_formula_by_hand) {
  // 6 failures: (6 - 5 - 0) / 7.
  fail(breaker_, 6, start);
  EXPECT_NEAR(refused_under(breaker_, start), 1.0 / 7, 0.001);
  // 20 failures: 15 / 21.
  fail(breaker_, 14, start);
  EXPECT_NEAR(refused_under(breaker_, start), 15.0 / 21, 0.001);
  EXPECT_EQ(breaker_.state(start), State::open);
}

TEST_F(AdaptiveBreaker, weighs_successes_by_k) {
  // 80 of 100 failed, in one bucket that has successes too: w = 1.5, (100 - 5 - 30) / 101.
  fail(breaker_, 80, start);
  succeed(breaker_, 20, start);
  EXPECT_NEAR(refused_under(breaker_, start), 65.0 / 101, 0.001);
  // A third of 90 fails: (90 - 5 - 90) < 0.
  Breaker other{BreakerOptions{}};
  other.admit(start, 0);
  fail(other, 30, start);
  succeed(other, 60, start);
  EXPECT_EQ(other.state(start), State::closed);
}

TEST_F(AdaptiveBreaker, weighs_them_less_the_longer_it_has_failed) {
  // 20 successes, then 2 failures in each of ten buckets: w = 1.5 - 0.4 · 10/40 = 1.4,
  // (40 - 5 - 28) / 41.
  succeed(breaker_, 20, start);
  for (int i = 1; i <= 10; ++i) fail(breaker_, 2, start + i * bucket);
  const std::int64_t now = start + 10 * bucket;
  Breaker asked = breaker_;
  ASSERT_EQ(asked.admit(now, 0), Call::probe);  // the last call was long ago
  asked.withdrawn(Call::probe);
  EXPECT_NEAR(refused_under(asked, now), 7.0 / 41, 0.001);
  // Empty buckets count as neither: two seconds later it is the same.
  asked.admit(now + 8 * bucket, 0);
  EXPECT_NEAR(refused_under(asked, now + 8 * bucket), 7.0 / 41, 0.001);
}

TEST_F(AdaptiveBreaker, refuses_less_the_longer_it_has_worked_again) {
  // 40 failures, then a success in each of ten buckets: (50 - 5 - 15) / 51 · 30/40.
  fail(breaker_, 40, start);
  for (int i = 1; i <= 10; ++i) succeed(breaker_, 1, start + i * bucket);
  const std::int64_t now = start + 10 * bucket;
  ASSERT_EQ(breaker_.admit(now, 0), Call::probe);
  EXPECT_NEAR(refused_under(breaker_, now), 30.0 / 51 * 0.75, 0.001);
}

TEST_F(AdaptiveBreaker, counts_what_it_refuses) {
  fail(breaker_, 6, start);
  EXPECT_EQ(breaker_.admit(start, 0.1), Call::refused);
  EXPECT_NEAR(refused_under(breaker_, start), 2.0 / 8, 0.001);
}

TEST_F(AdaptiveBreaker, refuses_nothing_after_its_window_and_is_closed_by_a_success_alone) {
  fail(breaker_, 20, start);
  EXPECT_NE(breaker_.state(start + 39 * bucket), State::closed);
  EXPECT_EQ(breaker_.state(start + 40 * bucket), State::half_open) << "nothing has succeeded";
  EXPECT_EQ(breaker_.admit(start + 40 * bucket, 0), Call::made);
  fail(breaker_, 1, start + 41 * bucket);
  EXPECT_EQ(breaker_.state(start + 41 * bucket), State::half_open) << "one failure is no excuse";
  succeed(breaker_, 1, start + 42 * bucket);
  EXPECT_EQ(breaker_.state(start + 42 * bucket), State::closed);
}

TEST_F(AdaptiveBreaker, that_is_asked_seldom_stays_open_through_an_outage) {
  fail(breaker_, 6, start);
  std::int64_t now = start;
  for (int i = 0; i < 20; ++i) {
    now += 11'000 * ms;  // longer than the window
    EXPECT_NE(breaker_.state(now), State::closed) << i;
    fail(breaker_, 1, now);
    EXPECT_NE(breaker_.state(now), State::closed) << i;
  }
}

TEST_F(AdaptiveBreaker, closes_with_its_window_when_the_last_call_succeeded) {
  fail(breaker_, 20, start);
  succeed(breaker_, 1, start + bucket);
  EXPECT_EQ(breaker_.state(start + bucket), State::open);
  EXPECT_EQ(breaker_.state(start + 41 * bucket), State::closed);
}

TEST_F(AdaptiveBreaker, lets_a_probe_through_a_second_after_the_last_call) {
  fail(breaker_, 20, start);
  EXPECT_EQ(breaker_.admit(start + 1'000 * ms, 0), Call::refused);
  EXPECT_EQ(breaker_.state(start + 1'000 * ms), State::open);
  EXPECT_EQ(breaker_.state(start + 1'001 * ms), State::half_open);
  EXPECT_EQ(breaker_.admit(start + 1'001 * ms, 0), Call::probe);
  EXPECT_EQ(breaker_.state(start + 1'001 * ms), State::half_open) << "while it is under way";
  EXPECT_EQ(breaker_.admit(start + 1'002 * ms, 0), Call::refused) << "one";
  breaker_.failed(Call::probe, start + 1'500 * ms);
  EXPECT_EQ(breaker_.state(start + 1'500 * ms), State::open);
  EXPECT_EQ(breaker_.admit(start + 2'002 * ms, 0), Call::probe);
}

TEST(Breaker, of_ratio_opens_under_its_share_and_closes_by_a_probe) {
  Breaker breaker(
      {.kind = BreakerKind::ratio, .success_ratio = 0.5, .calls_min = 10, .open_for = 5s});
  fail(breaker, 9, start);
  EXPECT_EQ(breaker.state(start), State::closed) << "too few calls";
  succeed(breaker, 9, start);
  EXPECT_EQ(breaker.state(start), State::closed) << "half succeed";
  fail(breaker, 1, start);
  EXPECT_EQ(breaker.state(start), State::open) << "9 of 19";
  EXPECT_EQ(breaker.admit(start + 4'999 * ms, 0), Call::refused);
  EXPECT_EQ(breaker.state(start + 5'000 * ms), State::half_open);
  EXPECT_EQ(breaker.admit(start + 5'000 * ms, 0), Call::probe);
  EXPECT_EQ(breaker.admit(start + 5'001 * ms, 0), Call::refused) << "one probe at a time";
  breaker.succeeded(Call::made, start + 5'002 * ms);
  EXPECT_EQ(breaker.state(start + 5'002 * ms), State::half_open) << "an old call decides nothing";
  breaker.failed(Call::probe, start + 5'003 * ms);
  EXPECT_EQ(breaker.state(start + 5'003 * ms), State::open);
  EXPECT_EQ(breaker.admit(start + 10'003 * ms, 0), Call::probe);
  breaker.succeeded(Call::probe, start + 10'004 * ms);
  EXPECT_EQ(breaker.state(start + 10'004 * ms), State::closed);
  fail(breaker, 9, start + 10'005 * ms);
  EXPECT_EQ(breaker.state(start + 10'005 * ms), State::closed) << "what was before is forgotten";
}

TEST(Breaker, of_ratio_probes_again_when_one_never_comes_back) {
  Breaker breaker({.kind = BreakerKind::ratio, .calls_min = 1, .open_for = 1s});
  fail(breaker, 1, start);
  EXPECT_EQ(breaker.admit(start + 1'000 * ms, 0), Call::probe);
  EXPECT_EQ(breaker.admit(start + 1'999 * ms, 0), Call::refused);
  EXPECT_EQ(breaker.admit(start + 2'000 * ms, 0), Call::probe);
  breaker.withdrawn(Call::probe);
  EXPECT_EQ(breaker.admit(start + 2'001 * ms, 0), Call::probe) << "one that said nothing";
}

/// The formula read off a list of all that happened.
struct Model {
  struct Event {
    std::int64_t bucket;
    enum { success, failure, refusal } what;
  };
  std::deque<Event> events;

  double drop(std::int64_t now_ns, const BreakerOptions& o, bool scaled) {
    const std::int64_t newest = now_ns / (o.window.count() / 40);
    while (!events.empty() && events.front().bucket <= newest - 40) events.pop_front();
    double accepts = 0;
    int failing = 0;
    int working = 0;
    for (std::int64_t b = newest - 39; b <= newest; ++b) {
      bool good = false;
      bool bad = false;
      for (const Event& e : events) {
        if (e.bucket != b) continue;
        good = good || e.what == Event::success;
        bad = bad || e.what == Event::failure;
        accepts += e.what == Event::success;
      }
      if (bad) working = 0;
      if (good && !bad) ++working;
      if (good) failing = 0;
      if (bad && !good) ++failing;
    }
    const auto total = static_cast<double>(events.size());
    const double w = std::max(o.k - (o.k - o.floor) * failing / 40.0, o.floor);
    const double drop = (total - o.protection - w * accepts) / (total + 1);
    return scaled ? drop * (40 - working) / 40.0 : drop;
  }
};

TEST(Breaker, agrees_with_the_formula_under_any_sequence) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    support::Random random(seed);
    BreakerOptions options;
    if (random.one_in(3)) options.k = 1.2 + static_cast<double>(random.below(100)) / 100;
    if (random.one_in(3)) options.protection = static_cast<std::uint32_t>(random.below(20));
    if (random.one_in(3)) options.window = 1s;
    Breaker breaker(options);
    Model model;
    std::int64_t now = start;
    std::int64_t made = -10 * start;
    bool open = false;
    bool answers = true;
    std::uint64_t failing = random.below(101);  // percent, changes now and then
    for (int i = 0; i < 1'500; ++i) {
      const std::int64_t number = now / (options.window.count() / 40);
      const double chance = static_cast<double>(random.below(1'000'000)) / 1e6;
      const double plain = model.drop(now, options, false);
      const Call call = breaker.admit(now, chance);
      open = plain > 0 || (open && !answers);
      Call expected = Call::made;
      if (plain > 0) {
        const bool refused = chance < model.drop(now, options, true);
        expected = now - made > 1'000 * ms ? Call::probe : refused ? Call::refused : Call::made;
      }
      ASSERT_EQ(call, expected) << i;
      if (call == Call::refused) {
        model.events.push_back({number, Model::Event::refusal});
      } else {
        made = now;
        const bool bad = random.percent(failing);
        bad ? breaker.failed(call, now) : breaker.succeeded(call, now);
        model.events.push_back({number, bad ? Model::Event::failure : Model::Event::success});
        answers = !bad;
      }
      open = model.drop(now, options, false) > 0 || (open && !answers);
      ASSERT_EQ(breaker.state(now) == State::closed, !open);
      now += static_cast<std::int64_t>(random.below(random.one_in(100) ? 3'000 * ms
                                                    : random.one_in(5) ? 200 * ms
                                                                       : ms));
      if (random.one_in(200)) failing = random.below(101);
    }
  }
}

TEST(Breaker, closes_by_itself_once_the_dependency_is_well) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    for (BreakerKind kind : {BreakerKind::adaptive, BreakerKind::ratio}) {
      SCOPED_TRACE(seed);
      support::Random random(seed);
      Breaker breaker({.kind = kind});
      std::int64_t now = start;
      auto call = [&](bool well) {
        const double chance = static_cast<double>(random.below(1'000'000)) / 1e6;
        const Call made = breaker.admit(now, chance);
        if (made != Call::refused) {
          well ? breaker.succeeded(made, now) : breaker.failed(made, now);
        }
        now += static_cast<std::int64_t>(random.below(20 * ms));
        return made;
      };
      int refused = 0;
      for (int i = 0; i < 1'000; ++i) refused += call(random.percent(20)) == Call::refused;
      EXPECT_GT(refused, 300);
      EXPECT_NE(breaker.state(now), State::closed);
      const std::int64_t well_since = now;
      while (breaker.state(now) != State::closed) call(true);
      // The window, and what was refused within it, which counts too.
      EXPECT_LE(now - well_since, 13'000 * ms);
    }
  }
}

TEST(CalmBreaker, counts_what_succeeded_without_being_asked) {
  Breaker breaker{BreakerOptions{}};
  EXPECT_TRUE(breaker.calm(start));
  breaker.succeeded_calmly(60, start);
  EXPECT_TRUE(breaker.calm(start));
  // As above: a third of 90 fails. (90 - 5 - 90) < 0, one more and it is refused: 5 + 1.5 · 60
  // = 95.
  fail(breaker, 30, start);
  EXPECT_FALSE(breaker.calm(start));
  EXPECT_EQ(breaker.state(start), State::closed);
  fail(breaker, 6, start);
  EXPECT_EQ(breaker.state(start), State::open);
}

TEST(CalmBreaker, is_so_again_a_window_after_its_last_failure) {
  Breaker breaker{BreakerOptions{}};
  fail(breaker, 1, start);
  succeed(breaker, 1, start);
  EXPECT_FALSE(breaker.calm(start + 39 * bucket));
  EXPECT_TRUE(breaker.calm(start + 40 * bucket));
}

}  // namespace
}  // namespace trialwire::resilience
