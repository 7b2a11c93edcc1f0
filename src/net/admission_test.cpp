// SPDX-License-Identifier: Apache-2.0
#include "net/admission.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <optional>
#include <string>

#include <gmock/gmock.h>

namespace trialwire::net {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::int64_t ms = 1'000'000;
constexpr std::int64_t second = 1'000 * ms;

sockaddr_storage peer(const std::string& address) {
  sockaddr_storage storage{};
  if (address.find(':') == std::string::npos) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    EXPECT_EQ(inet_pton(AF_INET, address.c_str(), &v4.sin_addr), 1);
    std::memcpy(&storage, &v4, sizeof v4);
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    EXPECT_EQ(inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr), 1);
    std::memcpy(&storage, &v6, sizeof v6);
  }
  return storage;
}

class AdmissionTest : public testing::Test {
 protected:
  void make(AdmissionOptions options) {
    common_ = std::make_shared<AdmissionCommon>(std::move(options), "http", metrics_);
    admission_.emplace(common_, 0, metrics_);
  }
  Admitted admit(RouteKind kind, std::int64_t now_ns, std::int64_t lag_ns = 0,
                 const std::string& address = "10.0.0.1") {
    return admission_->admit({.kind = kind, .address = common_->key_of(peer(address)), .rate = {}},
                             now_ns, lag_ns);
  }

  telemetry::Registry metrics_;
  std::shared_ptr<AdmissionCommon> common_;
  std::optional<Admission> admission_;
};

TEST_F(AdmissionTest, lets_everything_in_by_default) {
  make({});
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(admit(RouteKind::intake, 1).refused, Refused::no);
    EXPECT_EQ(admit(RouteKind::waiting, 1, second).refused, Refused::no);
    EXPECT_FALSE(admit(RouteKind::exempt, 1).rate.present);
  }
}

TEST_F(AdmissionTest, limits_the_rate_of_each_address) {
  make({.address = {.per_second = 10, .burst = 2}});
  EXPECT_EQ(common_->lines().policy(), "\"address\";q=2;w=1");
  auto first = admit(RouteKind::intake, second);
  EXPECT_EQ(first.refused, Refused::no);
  EXPECT_EQ(first.rate.remaining, 1U);
  EXPECT_EQ(admit(RouteKind::exempt, second).refused, Refused::no);
  auto third = admit(RouteKind::waiting, second);
  EXPECT_EQ(third.refused, Refused::rate_address);
  EXPECT_FALSE(third.flying);
  EXPECT_EQ(third.retry_after_s, 1U);
  EXPECT_EQ(third.rate.remaining, 0U);
  EXPECT_EQ(
      admission_
          ->admit({.kind = {}, .address = common_->key_of(peer("10.0.0.1")), .rate = {}}, second, 0)
          .refused,
      Refused::rate_address)
      << "a path that there is not costs a token too";
  EXPECT_EQ(admit(RouteKind::intake, second, 0, "10.0.0.2").refused, Refused::no);
  EXPECT_EQ(admit(RouteKind::intake, second + 100 * ms).refused, Refused::no);
  const std::string page = metrics_.text();
  EXPECT_THAT(
      page,
      HasSubstr("trialwire_admission_refused_total{reason=\"rate_address\",server=\"http\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("trialwire_admission_addresses{server=\"http\"} 2\n"));
}

TEST_F(AdmissionTest, limits_the_rate_of_all_together) {
  make({.all = {.per_second = 1, .burst = 2}});
  EXPECT_EQ(admit(RouteKind::intake, second, 0, "10.0.0.1").refused, Refused::no);
  EXPECT_EQ(admit(RouteKind::intake, second, 0, "10.0.0.2").refused, Refused::no);
  auto refused = admit(RouteKind::intake, second, 0, "10.0.0.3");
  EXPECT_EQ(refused.refused, Refused::rate_all);
  EXPECT_EQ(refused.retry_after_s, 1U);
  EXPECT_FALSE(refused.rate.present) << "it is nobody's own quota";
}

TEST_F(AdmissionTest, an_ipv6_client_is_its_prefix_and_a_mapped_one_its_ipv4_address) {
  make({.address = {.per_second = 1, .burst = 1}});
  auto key = [&](const std::string& address) { return common_->key_of(peer(address)); };
  EXPECT_EQ(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::7"));
  EXPECT_NE(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
  EXPECT_EQ(key("::ffff:10.0.0.1"), key("10.0.0.1"));
  EXPECT_NE(key("10.0.0.1"), key("10.0.0.2"));
  make({.address = {.per_second = 1, .burst = 1}, .ipv6_prefix = 128});
  EXPECT_NE(key("2001:db8:1:2::1"), key("2001:db8:1:2::2"));
}

TEST_F(AdmissionTest, never_knows_more_addresses_than_it_may) {
  make({.address = {.per_second = 1, .burst = 1}, .buckets_max = 32});
  for (int i = 0; i < 500; ++i) {
    admit(RouteKind::intake, second + i, 0,
          "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250));
  }
  const std::string page = metrics_.text();
  EXPECT_THAT(page, HasSubstr("trialwire_admission_addresses_max{server=\"http\"} 32\n"));
  EXPECT_THAT(page, HasSubstr("trialwire_admission_addresses{server=\"http\"} 32\n"));
  EXPECT_THAT(page, ::testing::Not(HasSubstr("addresses_unknown_total{server=\"http\"} 0\n")));
}

TEST_F(AdmissionTest, limits_what_is_under_way_of_routes_that_wait) {
  make({.concurrent_max = 2});
  auto first = admit(RouteKind::waiting, 0);
  EXPECT_TRUE(first.flying);
  EXPECT_TRUE(admit(RouteKind::waiting, 0).flying);
  EXPECT_EQ(admit(RouteKind::waiting, 0).refused, Refused::concurrent);
  EXPECT_EQ(admit(RouteKind::intake, 0).refused, Refused::no) << "it is bounded in bytes";
  EXPECT_EQ(admit(RouteKind::exempt, 0).refused, Refused::no);
  admission_->landed(ms, ms);
  EXPECT_TRUE(admit(RouteKind::waiting, ms).flying);
  admission_->left();
  EXPECT_THAT(metrics_.text(), HasSubstr("trialwire_admission_in_flight{server=\"http\"} 1\n"));
}

TEST_F(AdmissionTest, what_is_refused_for_its_rate_is_not_under_way) {
  make({.all = {.per_second = 1, .burst = 1}, .concurrent_max = 2});
  EXPECT_TRUE(admit(RouteKind::waiting, 0).flying);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(admit(RouteKind::waiting, 0).refused, Refused::rate_all);
  EXPECT_TRUE(admit(RouteKind::waiting, second).flying);
}

TEST_F(AdmissionTest, limits_who_waits_for_a_worker) {
  std::size_t queued = 4;
  make({.queued_max = 5, .queued = [&] { return queued; }});
  EXPECT_EQ(admit(RouteKind::waiting, 0).refused, Refused::no);
  queued = 5;
  EXPECT_EQ(admit(RouteKind::waiting, 0).refused, Refused::queued);
  EXPECT_EQ(admit(RouteKind::intake, 0).refused, Refused::no);
}

TEST_F(AdmissionTest, sheds_what_waits_by_load) {
  double cpu = 0;
  make({.cpu_threshold = 900, .cpu = [&] { return cpu; }});
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(admit(RouteKind::waiting, 0).flying);
  for (int i = 0; i < 20; ++i) admission_->landed(0, 50 * ms);
  cpu = 1'000;
  EXPECT_EQ(admit(RouteKind::waiting, 100 * ms).refused, Refused::load);
  EXPECT_EQ(admit(RouteKind::intake, 100 * ms).refused, Refused::no);
}

TEST_F(AdmissionTest, refuses_intake_for_a_loop_that_is_late_or_a_commit_that_does_not_come) {
  std::int64_t age = 0;
  make({.loop_lag_max = 500ms, .commit_age_max = 1s, .commit_age_ns = [&](unsigned shard, auto) {
          EXPECT_EQ(shard, 0U);
          return age;
        }});
  EXPECT_EQ(admit(RouteKind::intake, 1, 500 * ms).refused, Refused::no);
  EXPECT_EQ(admit(RouteKind::intake, 2, 501 * ms).refused, Refused::loop_lag);
  age = second + 1;
  EXPECT_EQ(admit(RouteKind::intake, 2).refused, Refused::loop_lag) << "looked at once a turn";
  EXPECT_EQ(admit(RouteKind::intake, 3).refused, Refused::commit_age);
  EXPECT_EQ(admit(RouteKind::waiting, 4).refused, Refused::no);
  age = second;
  EXPECT_EQ(admit(RouteKind::intake, 5).refused, Refused::no);
}

TEST_F(AdmissionTest, takes_no_more_in_a_turn_than_is_committed_in_time) {
  std::uint64_t room = 3;
  make({.commit_age_max = 1s, .commit_room = [&](unsigned shard, auto) {
          EXPECT_EQ(shard, 0U);
          return room;
        }});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(admit(RouteKind::intake, 1).refused, Refused::no);
  EXPECT_EQ(admit(RouteKind::waiting, 1).refused, Refused::no);
  EXPECT_EQ(admit(RouteKind::intake, 1).refused, Refused::commit_age);
  EXPECT_EQ(admit(RouteKind::intake, 2).refused, Refused::no) << "the next turn's";
  room = 0;
  EXPECT_EQ(admit(RouteKind::intake, 3).refused, Refused::commit_age);
}

TEST(RateLines, are_those_of_the_draft) {
  std::array<char, rate_lines_max> room{};
  EXPECT_EQ(RateLines("\"address\";q=120;w=2").write({true, 7, 1}, room),
            "RateLimit-Policy: \"address\";q=120;w=2\r\nRateLimit: \"address\";r=7;t=1\r\n");
  std::string longest(rate_lines_max / 2, 'p');
  longest[32] = ';';
  EXPECT_LE(RateLines(longest).write({true, UINT32_MAX, UINT32_MAX}, room).size(), rate_lines_max);
}

}  // namespace
}  // namespace trialwire::net
