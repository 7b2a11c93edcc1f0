// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/cluster.hpp"

#include <gtest/gtest.h>

#include "support/mock_cluster.hpp"

namespace trialwire::storage::kafka {
namespace {

using std::chrono::seconds;

TEST(KafkaCluster, says_how_many_brokers_there_are_and_which_topics_are_not) {
  support::MockCluster cluster(3);
  cluster.make_topic("there", 1);
  auto state = ask_cluster({.brokers = {cluster.brokers()}}, {"there", "missing"}, seconds(20));
  ASSERT_TRUE(state) << state.error().text;
  EXPECT_EQ(state->brokers, 3U);
  EXPECT_EQ(state->missing, std::vector<std::string>{"missing"});
}

TEST(KafkaCluster, says_what_is_wrong_with_brokers_that_do_not_answer) {
  auto state = ask_cluster({.brokers = {"127.0.0.1:1"}}, {}, seconds(2));
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, ErrorCode::unavailable);
  EXPECT_NE(state.error().text.find("127.0.0.1:1"), std::string::npos) << state.error().text;
}

}  // namespace
}  // namespace trialwire::storage::kafka
