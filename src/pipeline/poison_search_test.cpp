// SPDX-License-Identifier: Apache-2.0
#include "pipeline/poison_search.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace trialwire::pipeline {
namespace {

/// A destination that refuses every piece with one of `poison` in it.
struct Destination {
  std::set<std::uint64_t> poison;
  std::vector<std::uint64_t> stored, aside;
  std::size_t attempts = 0, records_sent = 0;

  void run(std::span<const journal::Record> records, std::size_t piece_records = 512) {
    PoisonSearch search(records, piece_records);
    while (!search.piece().empty()) {
      auto piece = search.piece();
      ++attempts;
      records_sent += piece.size();
      bool refused = false;
      for (const auto& record : piece) refused = refused || poison.contains(record.sequence);
      auto& to = refused ? aside : stored;
      if (refused && !search.refused()) continue;
      for (const auto& record : piece) to.push_back(record.sequence);
      refused ? search.set_aside() : search.taken();
    }
  }
};

std::vector<journal::Record> records(std::size_t count) {
  std::vector<journal::Record> made(count);
  for (std::size_t i = 0; i < count; ++i) made[i].sequence = i + 1;
  return made;
}

TEST(PoisonSearchTest, without_poison_there_is_one_piece) {
  Destination destination;
  destination.run(records(1'000));
  EXPECT_EQ(destination.attempts, 1U);
  EXPECT_EQ(destination.stored.size(), 1'000U);
}

TEST(PoisonSearchTest, one_poison_is_found_with_few_attempts_wherever_it_is) {
  for (std::uint64_t at : {1U, 2U, 511U, 512U, 513U, 1'023U, 1'024U}) {
    Destination destination{.poison = {at}};
    destination.run(records(1'024));
    EXPECT_EQ(destination.aside, (std::vector<std::uint64_t>{at}));
    EXPECT_EQ(destination.stored.size(), 1'023U);
    EXPECT_LE(destination.attempts, 24U) << at;
    EXPECT_LE(destination.records_sent, 4U * 1'024U) << at;
  }
}

TEST(PoisonSearchTest, scattered_poison_costs_a_few_small_pieces_each) {
  for (const std::size_t count : {500U, 2'000U, 16'384U}) {
    Destination destination;
    for (std::uint64_t at = 1; at <= count; at += 7 + at * 31 % 7) destination.poison.insert(at);
    const std::size_t poison = destination.poison.size();
    ASSERT_GT(poison * 12, count);
    destination.run(records(count));
    EXPECT_EQ(destination.aside.size(), poison);
    EXPECT_EQ(destination.stored.size(), count - poison);
    EXPECT_LE(destination.attempts, 7 * poison) << count;
    EXPECT_LE(destination.records_sent, 10 * count) << count;
  }
}

TEST(PoisonSearchTest, after_poison_pieces_grow_to_normal_size_and_no_further) {
  auto all = records(100);
  PoisonSearch search(all, 10);
  while (!search.refused()) {
  }
  search.set_aside();
  std::vector<std::size_t> sizes;
  for (; !search.piece().empty(); search.taken()) sizes.push_back(search.piece().size());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 2, 4, 8, 10, 10, 10, 10, 10, 10, 10, 10, 4}));
}

TEST(PoisonSearchTest, nothing_is_a_piece_of_nothing) {
  PoisonSearch search(records(0), 10);
  EXPECT_TRUE(search.piece().empty());
}

TEST(PoisonSearchTest, a_destination_that_changes_its_mind_gets_everything) {
  auto all = records(4);
  PoisonSearch search(all, 512);
  EXPECT_FALSE(search.refused());  // [1..4]
  EXPECT_FALSE(search.refused());  // [1..2]
  EXPECT_TRUE(search.refused());   // [1]
  search.taken();                  // tried again, now it goes
  EXPECT_EQ(search.piece().front().sequence, 2U);
  search.taken();
  EXPECT_EQ(search.piece().size(), 2U);
  EXPECT_TRUE(search.last());
  search.taken();
  EXPECT_TRUE(search.piece().empty());
}

RC_GTEST_PROP(PoisonSearchTest, whatever_is_poison_order_and_submissions_are_kept, ()) {
  // Units of 1 to 6 records, some of them submissions, some of those next to each other.
  std::vector<journal::Record> all;
  std::map<std::uint64_t, std::size_t> unit_of;
  std::set<std::uint64_t> expected_aside;
  Destination destination;
  const auto units = *rc::gen::inRange<std::size_t>(0, 40);
  for (std::size_t unit = 0; unit < units; ++unit) {
    const auto size = *rc::gen::element(1, 1, 1, 2, 3, 6);
    const Uuid submission = size > 1 ? Uuid::random() : Uuid{};
    const bool bad = *rc::gen::inRange(0, 6) == 0;
    for (int i = 0; i < size; ++i) {
      journal::Record record;
      record.sequence = all.size() + 1;
      record.attributes.submission = submission;
      unit_of[record.sequence] = unit;
      if (bad) expected_aside.insert(record.sequence);
      if (bad && i == size / 2) destination.poison.insert(record.sequence);
      all.push_back(record);
    }
  }
  destination.run(all, *rc::gen::inRange<std::size_t>(1, 20));
  RC_ASSERT(std::set(destination.aside.begin(), destination.aside.end()) == expected_aside);
  RC_ASSERT(destination.stored.size() + destination.aside.size() == all.size());
  RC_ASSERT(std::is_sorted(destination.stored.begin(), destination.stored.end()));
  RC_ASSERT(std::is_sorted(destination.aside.begin(), destination.aside.end()));
}

}  // namespace
}  // namespace trialwire::pipeline
