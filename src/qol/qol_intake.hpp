// SPDX-License-Identifier: Apache-2.0
// The intake of answers to questionnaires: POST /v1/epro/qol and, for older clients, /submit_qol.
#pragma once
#include <memory>

#include "ingest/kind_intake.hpp"
#include "qol/qol_answer_decoder.hpp"

namespace trialwire::qol {

std::unique_ptr<ingest::KindIntake> make_intake(const AnswerLimits& limits,
                                                ingest::IntakeShards& shards,
                                                telemetry::Registry& registry);

}  // namespace trialwire::qol
