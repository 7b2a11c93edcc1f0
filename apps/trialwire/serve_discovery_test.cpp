// SPDX-License-Identifier: Apache-2.0
#include "serve_discovery.hpp"

#include <gmock/gmock.h>

namespace trialwire {
namespace {

using ::testing::ElementsAre;

TEST(Discovery, advertises_where_it_listens_unless_told_otherwise) {
  EXPECT_EQ(advertised_address("", "127.0.0.1:8080"), "127.0.0.1:8080");
  EXPECT_EQ(advertised_address("10.0.0.7:0", "0.0.0.0:8080"), "10.0.0.7:8080");
  EXPECT_EQ(advertised_address("10.0.0.7:90", "0.0.0.0:8080"), "10.0.0.7:90");
  EXPECT_EQ(advertised_address("[fd00::7]:0", "[::]:8080"), "[fd00::7]:8080");
}

TEST(Discovery, names_that_are_empty_or_twice_are_left_out) {
  config::DiscoveryKeySettings keys;
  EXPECT_THAT(discovery_names(keys),
              ElementsAre("collection.rpc", "trial.rpc", "user.rpc", "edc.rpc", "epro.rpc"));
  keys.trial = "collection.rpc";
  keys.edc = "";
  EXPECT_THAT(discovery_names(keys), ElementsAre("collection.rpc", "user.rpc", "epro.rpc"));
}

TEST(Discovery, members_of_etcd_are_endpoints_of_one_target) {
  config::Settings settings;
  settings.discovery.etcd = {"https://10.0.0.5:2379", "https://etcd-2.example:2379"};
  settings.discovery.ca = "ca.pem";
  auto target = etcd_target(settings);
  ASSERT_TRUE(target) << target.error().text;
  EXPECT_TRUE(target->options.tls);
  EXPECT_EQ(target->options.files.ca, "ca.pem");
  EXPECT_THAT(*target->endpoints->endpoints(),
              ElementsAre(outbound::Endpoint{"10.0.0.5:2379", ""},
                          outbound::Endpoint{"etcd-2.example:2379", ""}));
  settings.discovery.etcd = {"10.0.0.5:2379/"};
  EXPECT_FALSE(etcd_target(settings)->options.tls);
  settings.discovery.etcd = {"nonsense"};
  EXPECT_FALSE(etcd_target(settings));
}

}  // namespace
}  // namespace trialwire
