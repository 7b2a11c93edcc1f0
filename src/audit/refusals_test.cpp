// SPDX-License-Identifier: Apache-2.0
#include "audit/refusals.hpp"

#include <gtest/gtest.h>

#include <string>

#include <fmt/format.h>

#include "support/fake_appender.hpp"

namespace trialwire::audit {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t start = 1'770'000'000 * second;

class RefusalsTest : public ::testing::Test {
 protected:
  void refuse(std::string_view address, std::string_view reason = "expired",
              std::string_view who = "") {
    refusals_.count({.what = who.empty() ? what_login_failure : what_refused,
                     .reason = reason,
                     .address = address,
                     .target = "GET /v1/vitals",
                     .who = who},
                    now_);
  }
  /// Bodies that the tick stored.
  std::vector<std::string> tick(bool all = false) {
    const std::size_t before = appender_.stored.size();
    refusals_.tick(now_, all);
    if (appender_.waiting()) appender_.commit();
    std::vector<std::string> bodies;
    for (std::size_t i = before; i < appender_.stored.size(); ++i) {
      bodies.push_back(appender_.stored[i].bytes);
    }
    return bodies;
  }

  std::int64_t now_ = start;
  telemetry::Registry metrics_;
  testing::FakeAppender appender_;
  Trail trail_{appender_, metrics_};
  Refusals refusals_{trail_, {.keys_max = 16, .interval_ns = 60 * second}, metrics_};
};

TEST_F(RefusalsTest, the_first_is_written_at_the_next_tick) {
  refuse("10.0.0.1");
  auto entries = tick();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_TRUE(entries[0].contains(R"("what":"login_failure","outcome":"expired")")) << entries[0];
  EXPECT_TRUE(entries[0].contains(R"("target":"GET /v1/vitals")"));
  EXPECT_TRUE(entries[0].contains(R"("times":1,)"));
  EXPECT_TRUE(entries[0].contains(R"("origin":"http 10.0.0.1")"));
  EXPECT_EQ(appender_.stored[0].attributes.kind, journal::RecordKind::audit);
  EXPECT_TRUE(tick().empty());
}

TEST_F(RefusalsTest, a_flood_from_one_address_is_one_entry_an_interval_that_says_how_many) {
  std::uint64_t entries = 0;
  std::uint64_t counted = 0;
  for (int tenth = 0; tenth < 1'200; ++tenth) {  // two minutes
    for (int i = 0; i < 100; ++i) refuse("10.0.0.1");
    for (const std::string& entry : tick()) {
      ++entries;
      const auto at = entry.find(R"("times":)");
      counted += std::stoull(entry.substr(at + 8));
    }
    now_ += second / 10;
  }
  for (const std::string& entry : tick(true)) {
    counted += std::stoull(entry.substr(entry.find(R"("times":)") + 8));
  }
  EXPECT_EQ(entries, 2U);  // at once, and after a minute
  EXPECT_EQ(counted, 120'000U);
}

TEST_F(RefusalsTest, says_since_when) {
  refuse("10.0.0.1");
  tick();
  now_ += 10 * second;
  refuse("10.0.0.1");
  now_ += 20 * second;
  refuse("10.0.0.1");
  now_ += 30 * second;
  auto entries = tick();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_TRUE(entries[0].contains(R"("timestamp":"2026-02-02T02:40:30.000Z")")) << entries[0];
  EXPECT_TRUE(entries[0].contains(R"("detail":{"first":"2026-02-02T02:40:10.000Z"})"));
}

TEST_F(RefusalsTest, addresses_reasons_and_names_are_told_apart) {
  refuse("10.0.0.1");
  refuse("10.0.0.2");
  refuse("10.0.0.1", "signature");
  refuse("10.0.0.1", "scope", "nurse");
  auto entries = tick();
  ASSERT_EQ(entries.size(), 4U);
  int named = 0;
  for (const std::string& entry : entries) {
    if (entry.contains(R"({"who":"nurse","what":"refused","outcome":"scope")")) ++named;
  }
  EXPECT_EQ(named, 1);
}

TEST_F(RefusalsTest, those_beyond_the_limit_are_counted_together) {
  for (int i = 0; i < 1'000; ++i) refuse(fmt::format("10.0.{}.{}", i / 250, i % 250));
  auto entries = tick();
  ASSERT_EQ(entries.size(), 17U);
  int together = 0;
  for (const std::string& entry : entries) {
    if (entry.contains(R"("outcome":"several")") && entry.contains(R"("times":984,)")) ++together;
  }
  EXPECT_EQ(together, 1);
  EXPECT_TRUE(metrics_.text().contains("trialwire_audit_refusals_beyond_total 984"));
  EXPECT_TRUE(metrics_.text().contains("trialwire_audit_refusal_keys_max 16"));
}

TEST_F(RefusalsTest, who_has_stopped_makes_room) {
  for (int i = 0; i < 16; ++i) refuse(fmt::format("10.0.0.{}", i));
  EXPECT_EQ(tick().size(), 16U);
  now_ += 61 * second;
  EXPECT_TRUE(tick().empty());
  refuse("10.0.9.9");
  auto entries = tick();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_TRUE(entries[0].contains("10.0.9.9"));
}

TEST_F(RefusalsTest, what_the_journal_does_not_take_is_written_later) {
  appender_.admission_error = Error{ErrorCode::disk_full, "full"};
  refuse("10.0.0.1");
  EXPECT_TRUE(tick().empty());
  appender_.admission_error.reset();
  EXPECT_TRUE(tick().empty());  // not at every tick
  now_ += 2 * second;
  appender_.refuse_commits = ErrorCode::disk_full;
  refuse("10.0.0.1");
  EXPECT_TRUE(tick().empty());
  appender_.refuse_commits.reset();
  now_ += 2 * second;
  auto entries = tick();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_TRUE(entries[0].contains(R"("times":2,)")) << entries[0];
}

TEST_F(RefusalsTest, at_the_end_all_that_is_counted_is_written) {
  refuse("10.0.0.1");
  tick();
  refuse("10.0.0.1");
  EXPECT_TRUE(tick().empty());
  EXPECT_EQ(tick(true).size(), 1U);
}

}  // namespace
}  // namespace trialwire::audit
