// SPDX-License-Identifier: Apache-2.0
#include "guards.hpp"

#include <gtest/gtest.h>

namespace trialwire {
namespace {

using resilience::BreakerKind;
using resilience::BreakerState;

TEST(Guards, open_with_the_first_failure_where_none_is_let_pass) {
  for (BreakerKind kind : {BreakerKind::adaptive, BreakerKind::ratio}) {
    telemetry::Registry metrics;
    Guards guards({.kind = kind}, metrics);
    runtime::Guard& patient = guards.add("kafka", 0);
    runtime::Guard& other = guards.add("postgres");
    for (runtime::Guard* guard : {&patient, &other}) guard->begin().failed();
    EXPECT_EQ(other.state(), BreakerState::closed);
    EXPECT_NE(patient.state(), BreakerState::closed);
    const auto lines = guards.readiness();
    ASSERT_EQ(lines.size(), 2U);
    EXPECT_EQ(lines[0].name, "breaker kafka");
    EXPECT_FALSE(lines[0].ok);
    EXPECT_FALSE(lines[0].required) << "intake goes on without it";
  }
}

}  // namespace
}  // namespace trialwire
