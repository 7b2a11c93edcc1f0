// SPDX-License-Identifier: Apache-2.0
#include "epro/report_intake.hpp"

#include "base/check.hpp"
#include "epro/report_decoder.hpp"

namespace trialwire::epro {
namespace {

constexpr std::array<std::string_view, ReportIntake::path_count> route_paths{
    "/v1/epro/reports", "/v1/patient/report", "/epro/submit", "/submit"};
constexpr std::size_t legacy_path = 3;

constexpr ingest::AnswerForm current_form{R"("status":"success","message":"Report for patient )",
                                          R"( received.",)"};
constexpr std::array<ingest::AnswerForm, ReportIntake::path_count> forms{{
    current_form,
    current_form,
    {R"("status":"received",)", ""},
    {R"("message":"Report received and queued for processing.",)", ""},
}};

}  // namespace

struct ReportIntake::PerShard {
  PerShard(ingest::IntakeShard& shard, telemetry::Registry& registry,
           const ingest::KindDecoder& report, const ingest::KindDecoder& legacy)
      : metrics(registry, report.label()),
        intakes{{{shard, report, forms[0], metrics},
                 {shard, report, forms[1], metrics},
                 {shard, report, forms[2], metrics},
                 {shard, legacy, forms[legacy_path], metrics}}} {}

  ingest::IntakeMetrics metrics;
  std::array<ingest::Intake, path_count> intakes;
};

std::span<const std::string_view, ReportIntake::path_count> ReportIntake::paths() noexcept {
  return route_paths;
}

ReportIntake::ReportIntake(const ReportLimits& limits, ingest::IntakeShards& shards,
                           telemetry::Registry& registry)
    : report_decoder_(std::make_unique<ReportDecoder>(limits)),
      legacy_decoder_(std::make_unique<LegacyReportDecoder>(limits)) {
  add_shards(shards, registry);
}

ReportIntake::ReportIntake(const ReportIntakeOptions& options,
                           std::span<journal::Appender* const> appenders,
                           telemetry::Registry& registry)
    : own_shards_(std::make_unique<ingest::IntakeShards>(options.intake, appenders)),
      report_decoder_(std::make_unique<ReportDecoder>(options.report)),
      legacy_decoder_(std::make_unique<LegacyReportDecoder>(options.report)) {
  add_shards(*own_shards_, registry);
}

void ReportIntake::add_shards(ingest::IntakeShards& shards, telemetry::Registry& registry) {
  for (std::size_t i = 0; i < shards.size(); ++i) {
    if (i == 0) ingest::publish_limits(registry, shards[i].options);
    shards_.push_back(
        std::make_unique<PerShard>(shards[i], registry, *report_decoder_, *legacy_decoder_));
  }
}

ReportIntake::~ReportIntake() = default;

ingest::Intake& ReportIntake::intake(std::size_t shard, std::size_t path) noexcept {
  TW_CHECK(shard < shards_.size() && path < path_count);
  return shards_[shard]->intakes[path];
}

}  // namespace trialwire::epro
