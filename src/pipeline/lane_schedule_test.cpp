// SPDX-License-Identifier: Apache-2.0
#include "pipeline/lane_schedule.hpp"

#include <gtest/gtest.h>

namespace trialwire::pipeline {
namespace {

TEST(LaneScheduleTest, a_record_keeps_its_lane_when_their_number_changes_behind_it) {
  LaneSchedule schedule(2);
  schedule.change(5'000, 4);
  EXPECT_EQ(schedule.lane_of(4'999, 7), 1U);
  EXPECT_EQ(schedule.lane_of(5'000, 7), 3U);
  EXPECT_EQ(schedule.lanes_max(), 4U);
  EXPECT_EQ(schedule.first_of(1), 1U);
  EXPECT_EQ(schedule.first_of(3), 5'000U);
}

TEST(LaneScheduleTest, a_lane_that_there_is_no_more_has_records_up_to_the_change_alone) {
  LaneSchedule schedule(4);
  schedule.change(100, 2);
  EXPECT_TRUE(schedule.has_from(3, 99));
  EXPECT_FALSE(schedule.has_from(3, 100));
  EXPECT_TRUE(schedule.has_from(1, 100));
}

TEST(LaneScheduleTest, the_same_number_and_the_same_sequence_add_no_change) {
  LaneSchedule schedule(2);
  schedule.change(100, 2);
  EXPECT_EQ(schedule.spans().size(), 1U);
  schedule.change(100, 3);
  schedule.change(100, 4);
  EXPECT_EQ(schedule.spans(), (std::vector<LaneSpan>{{1, 2}, {100, 4}}));
}

TEST(LaneScheduleTest, it_is_the_same_after_being_written_and_read) {
  const Uuid journal = Uuid::random();
  LaneSchedule schedule(2);
  schedule.change(100, 3);
  auto parsed = LaneSchedule::parse(schedule.text(journal));
  ASSERT_TRUE(parsed) << parsed.error().text;
  EXPECT_EQ(parsed->journal, journal);
  EXPECT_EQ(parsed->schedule, schedule);
}

TEST(LaneScheduleTest, a_text_that_is_none_is_refused_with_its_line) {
  const std::string head = "journal " + Uuid::random().text() + "\n";
  for (const std::string& text :
       {std::string(), std::string("journal x\n1 1\n"), head, head + "1 0\n", head + "0 1\n",
        head + "1 1\n1 2\n", head + "1 65\n", head + "1 2 3\n", head + "1\n", head + "a b\n"}) {
    auto parsed = LaneSchedule::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::corrupt);
  }
}

}  // namespace
}  // namespace trialwire::pipeline
