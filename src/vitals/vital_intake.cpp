// SPDX-License-Identifier: Apache-2.0
#include "vitals/vital_intake.hpp"

#include <array>

namespace trialwire::vitals {
namespace {

constexpr std::array<ingest::IntakePath, 1> paths{{
    {"/v1/vitals", {R"("status":"success",)", ""}},
}};

}  // namespace

std::unique_ptr<ingest::KindIntake> make_intake(const VitalLimits& limits,
                                                ingest::IntakeShards& shards,
                                                telemetry::Registry& registry) {
  return std::make_unique<ingest::KindIntake>(std::make_unique<VitalSignDecoder>(limits), paths,
                                              shards, registry);
}

}  // namespace trialwire::vitals
