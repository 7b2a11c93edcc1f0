// SPDX-License-Identifier: Apache-2.0
#include "trial/metric_intake.hpp"

#include <array>

namespace trialwire::trial {
namespace {

constexpr std::array<ingest::IntakePath, 1> paths{{
    {"/v1/metrics", {R"("status":"success",)", ""}},
}};

}  // namespace

std::unique_ptr<ingest::KindIntake> make_intake(const MetricLimits& limits,
                                                ingest::IntakeShards& shards,
                                                telemetry::Registry& registry) {
  return std::make_unique<ingest::KindIntake>(std::make_unique<TrialMetricDecoder>(limits), paths,
                                              shards, registry);
}

}  // namespace trialwire::trial
