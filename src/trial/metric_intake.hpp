// SPDX-License-Identifier: Apache-2.0
// The intake of trial metrics: POST /v1/metrics.
#pragma once
#include <memory>

#include "ingest/kind_intake.hpp"
#include "trial/trial_metric_decoder.hpp"

namespace trialwire::trial {

std::unique_ptr<ingest::KindIntake> make_intake(const MetricLimits& limits,
                                                ingest::IntakeShards& shards,
                                                telemetry::Registry& registry);

}  // namespace trialwire::trial
