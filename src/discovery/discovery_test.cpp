// SPDX-License-Identifier: Apache-2.0
// Registration and resolution before an etcd in memory; the real one: tests/services/etcd_test.py.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include <gmock/gmock.h>

#include "discovery/etcd_endpoints.hpp"
#include "discovery/registration.hpp"
#include "discovery/test_etcd.hpp"
#include "outbound/http_target.hpp"

namespace trialwire::discovery {
namespace {

using namespace std::chrono_literals;
using outbound::Endpoint;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Keys = std::map<std::string, std::string>;

class DiscoveryTest : public ::testing::Test {
 protected:
  ~DiscoveryTest() override {
    endpoints.reset();
    registration.reset();
    loop.stop();
  }

  template <typename Condition>
  static void eventually(const char* what, Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << what;
      std::this_thread::sleep_for(1ms);
    }
  }

  Registration& register_as(std::vector<std::string> names, EtcdOptions options = {}) {
    registration =
        std::make_unique<Registration>(RegistrationOptions{.names = std::move(names),
                                                           .address = "10.0.0.7:8080",
                                                           .ttl = 1s,  // looked at each third of it
                                                           .retry = 10ms,
                                                           .leave_within = 200ms,
                                                           .etcd = std::move(options)},
                                       target, metrics);
    registration->start();
    return *registration;
  }
  EtcdEndpoints& follow(const std::string& name, std::chrono::milliseconds refresh = 1h) {
    endpoints = std::make_unique<EtcdEndpoints>(
        EtcdEndpointsOptions{.name = name, .refresh = refresh, .retry = 10ms, .etcd = {}}, target,
        metrics);
    return *endpoints;
  }
  std::vector<std::string> known() const {
    std::vector<std::string> all;
    for (const Endpoint& one : *endpoints->endpoints()) all.push_back(one.authority);
    return all;
  }

  testing::Etcd etcd;
  telemetry::Registry metrics;
  outbound::HttpLoop loop;
  // Its tests are elsewhere: here it would only make times long.
  runtime::Guard guard{"etcd", {.protection = 1'000'000}, metrics};
  outbound::HttpTarget target{
      {.name = "etcd", .retries = 0},
      std::make_shared<outbound::FixedEndpoints>(*outbound::parse_direct(etcd.address())),
      loop,
      guard,
      metrics};
  std::unique_ptr<Registration> registration;
  std::unique_ptr<EtcdEndpoints> endpoints;
};

TEST_F(DiscoveryTest, a_process_is_known_by_all_of_its_names_and_no_longer_when_it_stops) {
  Registration& one = register_as({"collection.rpc", "trial.rpc"});
  eventually("registered", [&] { return one.state().registered; });
  const auto lease = std::to_string(one.state().lease);
  EXPECT_EQ(etcd.keys(), (Keys{{"collection.rpc/" + lease, "10.0.0.7:8080"},
                               {"trial.rpc/" + lease, "10.0.0.7:8080"}}));
  EXPECT_THAT(metrics.text(), HasSubstr("trialwire_discovery_registered{name=\"trial.rpc\"} 1\n"));
  one.stop();
  EXPECT_THAT(etcd.keys(), IsEmpty());
  EXPECT_FALSE(one.state().registered);
}

TEST_F(DiscoveryTest, a_key_that_is_deleted_or_taken_by_another_is_put_back) {
  Registration& one = register_as({"collection.rpc", "trial.rpc"});
  eventually("registered", [&] { return one.state().registered; });
  const Keys before = etcd.keys();
  etcd.erase(before.begin()->first);
  eventually("put back", [&] { return etcd.keys() == before; });
  etcd.put(before.begin()->first, "10.6.6.6:666");
  eventually("taken back", [&] { return etcd.keys() == before; });
  EXPECT_EQ(etcd.leases_granted(), 1);
  eventually("counted", [&] {
    return metrics.text().find("trialwire_discovery_keys_restored_total 2\n") != std::string::npos;
  });
}

TEST_F(DiscoveryTest, a_lease_that_expired_is_followed_by_another) {
  Registration& one = register_as({"collection.rpc"});
  eventually("registered", [&] { return one.state().registered; });
  const auto first = one.state().lease;
  etcd.expire_leases();
  EXPECT_THAT(etcd.keys(), IsEmpty());
  eventually("registered anew", [&] { return etcd.keys().size() == 1; });
  EXPECT_EQ(etcd.leases_granted(), 2);
  eventually("and says so", [&] { return one.state().lease != first; });
}

TEST_F(DiscoveryTest, an_etcd_that_is_away_is_waited_for) {
  etcd.go_away();
  Registration& one = register_as({"collection.rpc"});
  eventually("it says so", [&] { return !one.state().trouble.empty(); });
  EXPECT_THAT(one.state().trouble, HasSubstr("etcd: "));
  etcd.come_back();
  eventually("registered", [&] { return one.state().registered; });
  etcd.go_away();
  eventually("it is noticed", [&] { return !one.state().registered; });
  etcd.expire_leases();
  etcd.come_back();
  eventually("registered again", [&] { return etcd.keys().size() == 1; });
}

TEST_F(DiscoveryTest, who_stops_while_etcd_is_away_does_not_wait_for_it) {
  Registration& one = register_as({"collection.rpc"});
  eventually("registered", [&] { return one.state().registered; });
  etcd.go_away();
  const auto began = std::chrono::steady_clock::now();
  one.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
}

TEST_F(DiscoveryTest, etcd_s_users_log_in_and_again_when_their_token_is_void) {
  const auto file =
      std::filesystem::temp_directory_path() / fmt::format("trialwire-etcd-{}", ::getpid());
  std::ofstream(file) << "secret\n";
  ::chmod(file.c_str(), 0600);
  etcd.want_login();
  Registration& one =
      register_as({"collection.rpc"}, {.username = "root", .password_file = file.string()});
  eventually("registered", [&] { return one.state().registered; });
  EXPECT_EQ(etcd.last_authorization(), "token-1");
  etcd.want_login();
  eventually("logged in again", [&] { return etcd.last_authorization() == "token-2"; });
  EXPECT_EQ(etcd.leases_granted(), 1);
  one.stop();
  EXPECT_THAT(etcd.keys(), IsEmpty());
  std::ofstream(file) << "wrong\n";
  Registration& other =
      register_as({"collection.rpc"}, {.username = "root", .password_file = file.string()});
  eventually("refused", [&] { return !other.state().trouble.empty(); });
  EXPECT_THAT(other.state().trouble, Not(HasSubstr("wrong")));
  std::filesystem::remove(file);
}

TEST_F(DiscoveryTest, servers_of_a_name_are_followed) {
  etcd.put("collection.rpc/1", "10.0.0.1:80");
  etcd.put("collection.rpc2/1", "10.9.9.9:80");
  etcd.put("trial.rpc/1", "10.9.9.9:80");
  follow("collection.rpc");
  eventually("the first", [&] { return known() == std::vector<std::string>{"10.0.0.1:80"}; });
  eventually("a watch", [&] { return etcd.watches() == 1; });
  etcd.put("collection.rpc/2", "10.0.0.2:80");
  etcd.put("collection.rpc/3", "10.0.0.1:80");
  eventually("both, once each",
             [&] { return known() == std::vector<std::string>{"10.0.0.1:80", "10.0.0.2:80"}; });
  etcd.erase("collection.rpc/1");
  etcd.erase("collection.rpc/2");
  eventually("by another key", [&] { return known() == std::vector<std::string>{"10.0.0.1:80"}; });
  EXPECT_THAT(metrics.text(),
              HasSubstr("trialwire_discovery_reads_total{name=\"collection.rpc\"} 1\n"))
      << "the rest was watched";
}

TEST_F(DiscoveryTest, the_last_list_stays_while_etcd_is_away_or_has_none) {
  etcd.put("collection.rpc/1", "10.0.0.1:80");
  follow("collection.rpc");
  eventually("the first", [&] { return known().size() == 1; });
  etcd.erase("collection.rpc/1");
  etcd.put("other", "x");
  etcd.go_away();
  eventually("it is noticed", [&] {
    return metrics.text().find(
               "trialwire_discovery_read_failures_total{name=\"collection.rpc\"} 0\n") ==
           std::string::npos;
  });
  EXPECT_THAT(known(), ElementsAre("10.0.0.1:80"));
  etcd.come_back();
  eventually("read again", [&] { return etcd.watches() == 1; });
  EXPECT_THAT(known(), ElementsAre("10.0.0.1:80")) << "it has none now";
  etcd.put("collection.rpc/7", "10.0.0.7:80");
  eventually("another", [&] { return known() == std::vector<std::string>{"10.0.0.7:80"}; });
}

TEST_F(DiscoveryTest, what_was_compacted_away_is_read_as_a_whole) {
  etcd.put("collection.rpc/1", "10.0.0.1:80");
  follow("collection.rpc");
  eventually("a watch", [&] { return etcd.watches() == 1; });
  etcd.put("x", "y");
  etcd.compact();
  etcd.put("collection.rpc/2", "10.0.0.2:80");
  eventually("both", [&] { return known().size() == 2; });
}

TEST_F(DiscoveryTest, values_that_are_no_address_are_left_out_and_counted) {
  etcd.put("collection.rpc/1", "nonsense");
  etcd.put("collection.rpc/2", "10.0.0.1:80/../../x");
  etcd.put("collection.rpc/3", "user@10.0.0.1:80");
  etcd.put("collection.rpc/4", "10.0.0.4:80");
  follow("collection.rpc");
  eventually("the one", [&] { return known() == std::vector<std::string>{"10.0.0.4:80"}; });
  EXPECT_THAT(metrics.text(),
              HasSubstr("trialwire_discovery_values_refused_total{name=\"collection.rpc\"} 3\n"));
}

TEST_F(DiscoveryTest, the_list_is_read_again_now_and_then) {
  etcd.put("collection.rpc/1", "10.0.0.1:80");
  follow("collection.rpc", 50ms);
  eventually("read several times", [&] {
    const std::string page = metrics.text();
    const std::string series = "trialwire_discovery_reads_total{name=\"collection.rpc\"} ";
    return std::stoi(page.substr(page.find(series) + series.size())) >= 3;
  });
  EXPECT_THAT(metrics.text(),
              HasSubstr("trialwire_discovery_read_failures_total{name=\"collection.rpc\"} 0\n"));
}

}  // namespace
}  // namespace trialwire::discovery
