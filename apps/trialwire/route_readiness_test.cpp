// SPDX-License-Identifier: Apache-2.0
#include "route_readiness.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace trialwire {
namespace {

using resilience::BreakerState;

TEST(RouteReadinessTest, is_one_line_for_all_routes_and_keeps_no_traffic_away) {
  std::vector<net::RouteBreakerLook> breakers{{"GET", "/v1/vitals", BreakerState::closed},
                                              {"POST", "/submit", BreakerState::closed}};
  ReadinessCheck check = route_readiness(breakers);
  EXPECT_TRUE(check.ok);
  EXPECT_EQ(check.detail, "2 closed");
  breakers[0].state = BreakerState::half_open;
  breakers[1].state = BreakerState::open;
  check = route_readiness(breakers);
  EXPECT_FALSE(check.ok);
  EXPECT_FALSE(check.required);
  EXPECT_EQ(check.detail, "GET /v1/vitals half_open, POST /submit open");
  EXPECT_EQ(readiness_page({check}).text,
            "routes degraded: GET /v1/vitals half_open, POST /submit open\n");
}

}  // namespace
}  // namespace trialwire
