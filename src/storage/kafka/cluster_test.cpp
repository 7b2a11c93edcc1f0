// SPDX-License-Identifier: Apache-2.0
#include "storage/kafka/cluster.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/mock_cluster.hpp"

namespace trialwire::storage::kafka {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(KafkaCluster, says_how_many_brokers_there_are_and_which_topics_are_missing) {
  support::MockCluster cluster(3);
  cluster.make_topic("reports", 2);
  auto state = ask_cluster({.brokers = {cluster.brokers()}}, {"reports", "answers"}, 10s);
  ASSERT_TRUE(state) << state.error().text;
  EXPECT_EQ(state->brokers, 3U);
  EXPECT_THAT(state->missing, ElementsAre("answers"));
}

TEST(KafkaCluster, names_a_broker_that_is_not_there) {
  auto state = ask_cluster({.brokers = {"127.0.0.1:9"}}, {}, 1s);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, ErrorCode::unavailable);
  EXPECT_THAT(state.error().text, HasSubstr("127.0.0.1:9"));
}

TEST(KafkaCluster, names_a_password_file_that_cannot_be_read) {
  ClientOptions options{.brokers = {"127.0.0.1:9"}};
  options.security.protocol = "sasl_plaintext";
  options.security.password_file = "/nowhere/password";
  auto state = ask_cluster(options, {}, 1s);
  ASSERT_FALSE(state);
  EXPECT_THAT(state.error().text, HasSubstr("/nowhere/password"));
}

TEST(KafkaCluster, names_the_setting_and_the_path_of_a_certificate_that_is_not_there) {
  ClientOptions options{.brokers = {"127.0.0.1:9"}};
  options.security.protocol = "ssl";
  options.security.ca = "/nowhere/ca.pem";
  auto state = ask_cluster(options, {}, 1s);
  ASSERT_FALSE(state);
  EXPECT_THAT(state.error().text, HasSubstr("kafka.security.ca /nowhere/ca.pem cannot be read"));
}

}  // namespace
}  // namespace trialwire::storage::kafka
