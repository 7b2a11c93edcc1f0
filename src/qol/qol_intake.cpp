// SPDX-License-Identifier: Apache-2.0
#include "qol/qol_intake.hpp"

#include <array>

namespace trialwire::qol {
namespace {

/// Clients send arrays; one object is answered alike.
constexpr ingest::AnswerForm form{R"("message":"submitted successfully","count":1,)", "",
                                  R"("message":"submitted successfully","count":)"};
constexpr std::array<ingest::IntakePath, 2> paths{{{"/v1/epro/qol", form}, {"/submit_qol", form}}};

}  // namespace

std::unique_ptr<ingest::KindIntake> make_intake(const AnswerLimits& limits,
                                                ingest::IntakeShards& shards,
                                                telemetry::Registry& registry) {
  return std::make_unique<ingest::KindIntake>(std::make_unique<QolAnswerDecoder>(limits), paths,
                                              shards, registry);
}

}  // namespace trialwire::qol
