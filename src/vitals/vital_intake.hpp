// SPDX-License-Identifier: Apache-2.0
// The intake of vital signs: POST /v1/vitals.
#pragma once
#include <memory>

#include "ingest/kind_intake.hpp"
#include "vitals/vital_sign_decoder.hpp"

namespace trialwire::vitals {

std::unique_ptr<ingest::KindIntake> make_intake(const VitalLimits& limits,
                                                ingest::IntakeShards& shards,
                                                telemetry::Registry& registry);

}  // namespace trialwire::vitals
