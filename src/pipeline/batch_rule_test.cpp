// SPDX-License-Identifier: Apache-2.0
#include "pipeline/batch_rule.hpp"

#include <gtest/gtest.h>

namespace trialwire::pipeline {
namespace {

using journal::RecordKind;
using std::chrono::milliseconds;

class BatchRuleTest : public testing::Test {
 protected:
  BatchRuleTest() {
    limits.records = 10;
    limits.records_max = 50;
    limits.kinds = {{.records = 3, .delay = milliseconds(1'000), .records_max = 6}};
  }
  static journal::Record record(RecordKind kind) {
    journal::Record one;
    one.attributes.kind = kind;
    return one;
  }
  void add(BatchRule& rule, RecordKind kind, int count, milliseconds at = {}) {
    for (int i = 0; i < count; ++i) rule.add(record(kind), ++bytes, start + at);
  }

  BatchLimits limits;
  BatchRule::Time start{std::chrono::hours(1)};
  BatchRule::Time last_delivery{std::chrono::hours(1)};
  std::size_t bytes = 0;
};

TEST_F(BatchRuleTest, a_few_wait_for_the_delay_of_the_oldest) {
  BatchRule rule(limits);
  add(rule, RecordKind::epro_report, 1);
  add(rule, RecordKind::epro_report, 1, milliseconds(400));
  EXPECT_EQ(rule.due(last_delivery), start + milliseconds(500));
}

TEST_F(BatchRuleTest, enough_of_them_wait_for_the_interval_between_deliveries_alone) {
  BatchRule rule(limits);
  add(rule, RecordKind::epro_report, 10);
  EXPECT_EQ(rule.due(last_delivery), last_delivery + milliseconds(100));
}

TEST_F(BatchRuleTest, a_kind_with_a_rule_of_its_own_waits_as_long_as_that_says) {
  BatchRule rule(limits);
  add(rule, RecordKind::qol_answer, 1);
  EXPECT_EQ(rule.due(last_delivery), start + milliseconds(1'000));
  add(rule, RecordKind::epro_report, 1, milliseconds(100));
  EXPECT_EQ(rule.due(last_delivery), start + milliseconds(600)) << "the first rule counts";
}

TEST_F(BatchRuleTest, a_kind_with_a_rule_of_its_own_is_enough_by_its_own_number) {
  BatchRule rule(limits);
  add(rule, RecordKind::qol_answer, 2);
  EXPECT_GT(rule.due(last_delivery), last_delivery + milliseconds(100));
  add(rule, RecordKind::qol_answer, 1);
  EXPECT_EQ(rule.due(last_delivery), last_delivery + milliseconds(100));
}

TEST_F(BatchRuleTest, it_is_full_at_the_largest_number_of_all_or_of_a_kind) {
  BatchRule rule(limits);
  add(rule, RecordKind::qol_answer, 5);
  EXPECT_FALSE(rule.full(false));
  add(rule, RecordKind::qol_answer, 1);
  EXPECT_TRUE(rule.full(false));
  rule.clear();
  EXPECT_FALSE(rule.full(false));
  add(rule, RecordKind::epro_report, 49);
  EXPECT_FALSE(rule.full(false));
  add(rule, RecordKind::epro_report, 1);
  EXPECT_TRUE(rule.full(false));
}

TEST_F(BatchRuleTest, it_is_full_at_its_bytes) {
  limits.bytes_max = 4;
  BatchRule rule(limits);
  add(rule, RecordKind::epro_report, 3);
  EXPECT_FALSE(rule.full(false));
  add(rule, RecordKind::epro_report, 1);
  EXPECT_TRUE(rule.full(false));
}

TEST_F(BatchRuleTest, a_small_batch_is_full_as_soon_as_it_is_enough) {
  BatchRule rule(limits);
  add(rule, RecordKind::epro_report, 10);
  EXPECT_FALSE(rule.full(false));
  EXPECT_TRUE(rule.full(true));
}

}  // namespace
}  // namespace trialwire::pipeline
