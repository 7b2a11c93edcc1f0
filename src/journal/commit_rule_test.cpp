// SPDX-License-Identifier: Apache-2.0
#include "journal/commit_rule.hpp"

#include <gtest/gtest.h>

namespace trialwire::journal {
namespace {

using namespace std::chrono_literals;
using Step = CommitRule::Step;

constexpr CommitRule::Time t0{std::chrono::hours(5)};

CommitRule rule() {
  return CommitRule({.bytes = 1000, .interval = 500us, .silence = 50ms});
}

TEST(CommitRule, TheFirstRequestsGoAtOnce) {
  EXPECT_EQ(rule().decide(t0, {2, 10}).step, Step::commit);
}

TEST(CommitRule, RequestsAfterSilenceGoAtOnce) {
  auto r = rule();
  r.started(t0);
  EXPECT_EQ(r.decide(t0 + 10ms, {2, 1}).step, Step::commit);
}

TEST(CommitRule, ALoneRequestDoesNotWaitForOthers) {
  auto r = rule();
  r.started(t0);
  EXPECT_EQ(r.decide(t0 + 1us, {1, 10}).step, Step::commit);
}

TEST(CommitRule, TwoRequestsWaitForTheIntervalSinceTheLastStart) {
  auto r = rule();
  r.started(t0);
  const auto decision = r.decide(t0 + 200us, {2, 10});
  EXPECT_EQ(decision.step, Step::wait_for_bytes);
  EXPECT_EQ(decision.until, t0 + 500us);
  EXPECT_EQ(r.decide(t0 + 500us, {2, 10}).step, Step::commit);
}

TEST(CommitRule, EnoughBytesDoNotWait) {
  auto r = rule();
  r.started(t0);
  EXPECT_EQ(r.decide(t0 + 1us, {2, 999}).step, Step::wait_for_bytes);
  EXPECT_EQ(r.decide(t0 + 1us, {2, 1000}).step, Step::commit);
}

TEST(CommitRule, SilenceAfterABatchSealsOnceAndThenNothingHappens) {
  auto r = rule();
  EXPECT_EQ(r.decide(t0, {}).step, Step::wait_for_any);
  r.started(t0);
  r.appended(t0 + 1ms);
  EXPECT_EQ(r.decide(t0 + 2ms, {}).until, t0 + 51ms);
  EXPECT_EQ(r.decide(t0 + 51ms, {}).step, Step::seal);
  r.sealed();
  const auto after = r.decide(t0 + 1h, {});
  EXPECT_EQ(after.step, Step::wait_for_any);
  EXPECT_EQ(after.until, CommitRule::Time::max());
}

TEST(CommitRule, RecordsComeBeforeASealThatIsDue) {
  auto r = rule();
  r.started(t0);
  r.appended(t0);
  EXPECT_EQ(r.decide(t0 + 60ms, {2, 1}).step, Step::commit);
}

TEST(CommitRule, ASealThatFoundNoRoomIsTriedAgainAfterAnotherSilence) {
  auto r = rule();
  r.appended(t0);
  r.seal_refused(t0 + 50ms);
  EXPECT_EQ(r.decide(t0 + 60ms, {}).step, Step::wait_for_any);
  EXPECT_EQ(r.decide(t0 + 100ms, {}).step, Step::seal);
}

}  // namespace
}  // namespace trialwire::journal
